"""Generates docs/speed.md from the result files of the speed benchmarks; called by `benchmarks/collect.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Result = dict[str, Any]


def speed_page(results: dict[str, Result]) -> str:
    """The page.

    Args:
        results: Results of all speed benchmarks, by file name without suffix.

    Raises:
        KeyError: A benchmark has no section on the page yet.
    """
    parts = [
        "# Speed",
        "Medians over interleaved rounds. The result files contain all rounds, and the load of the machine before "
        "them; the command below each section repeats the measurement. `benchmarks/collect.py` generates this page "
        "from `benchmarks/results/`.",
    ]
    for name in sorted(results, key=list(SECTIONS).index):
        title, section = SECTIONS[name]
        parts += [f"## {title}", *section(results[name]), _taken(name, results[name])]
    return "\n\n".join(parts) + "\n"


def _kernel(result: Result) -> list[str]:
    timed, peer, memory = result["timed"], result["against_peer"], result["memory"]
    products = [
        (f"{name}", timed["products"][name], _seconds(timed["seconds"][f"streaming: {name}"]), f"{ratio:.2f}")
        for name, ratio in timed["over_its_products"].items()
    ]
    seconds = peer["seconds"]
    beside = [("nearfar", _seconds(seconds["streaming: paired"]), "1")]
    beside += [(name, _seconds(seconds[name]), f"{ratio:.2f}") for name, ratio in peer["peer_over_streaming"].items()]
    kept = [
        ("streaming" if name == "large" else name, f"{of['n']:,}", of["d"], of["peak_mb"], of["above_inputs_mb"])
        for name, of in memory.items()
    ]
    return [
        f"Loss and all gradients, {result['n']:,} x {result['m']:,}, d = {result['d']}, {result['threads']} threads. A "
        "loss cannot be faster than the matrix products that it needs; the last column is its time relative to these.",
        _table(("near and far", "products", "seconds", "relative to products"), products),
        "Compared with `CachedMultipleNegativesRankingLoss` of sentence-transformers on the same vectors, by chunk "
        f"size (the dense engine takes {timed['dense_over_streaming']:.2f} times as long as the streaming engine):",
        _table(("", "seconds", "relative time"), beside),
        "Peak memory of a process, and the part of it beyond the inputs and their gradients:",
        _table(("engine", "n = m", "d", "peak MB", "beyond the inputs, MB"), kept),
    ]


def _kernel_gpu(result: Result) -> list[str]:
    largest = max(row["n"] for row in result["rows"])
    rows = [row for row in result["rows"] if row["n"] == largest]
    names = list(dict.fromkeys(row["name"] for row in rows))
    parts = [
        f"{result['gpu']}, {largest:,} x {largest:,}, loss and gradients in milliseconds, normalisation included. "
        "`triton`, `streaming` and `dense` are nearfar's engines, `inf_cl` and `memeff` other packages. A dash: not "
        "offered, out of memory, or off by more than the products' precision allows; the file says which. Below some "
        "4,096 rows every contender takes 2 to 4 ms, which is the time to start its kernels."
    ]
    for inputs, precision in dict.fromkeys((row["inputs"], row["float32_precision"]) for row in rows):
        of = [row for row in rows if (row["inputs"], row["float32_precision"]) == (inputs, precision)]
        cases = dict.fromkeys((row["case"], row["d"]) for row in of)
        ms = {(row["case"], row["d"], row["name"]): row.get("ms") for row in of}
        parts += [
            f"Inputs in {inputs}, float32 products {precision!r}:",
            _table(
                ("case", "d", *names),
                [(case, d, *(_milliseconds(ms.get((case, d, name))) for name in names)) for case, d in cases],
            ),
        ]
    return parts


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _training(result: Result) -> list[str]:
    parts = [
        f"{_sentence(result)}; texts truncated to {result['max_length']} tokens, {_ran_on(result)}. "
        "nearfar saves the computation of padding: the gain depends on how much the lengths of your texts differ."
        + (f" {result['note']}" if "note" in result else "")
    ]
    for kind, name in (("plain", "Plain"), ("cached", "With the gradient cache")):
        of = result[kind]
        rounds = of["ratios_to_best_peer"]
        parts += [
            _table((f"batches of {of['batch_size']}", "pairs/s"), [(w, f"{r:.1f}") for w, r in of["median"].items()]),
            f"{name}: {of['ratio_to_best_peer']:.2f} times the speed of the best of the others (median over rounds; "
            f"{min(rounds):.2f} to {max(rounds):.2f})."
            + "".join(f" {each}: {ratio:.2f} times." for each, ratio in of.get("with_options", {}).items()),
        ]
    return parts


def _ran_on(result: Result) -> str:
    return result["gpu"] if "gpu" in result else f"{result['threads']} threads"


def _recipes(result: Result) -> list[str]:
    rows = [
        (f"`{name}`", f"{of['seconds_a_step']:.2f}", f"{of['over_infonce']:.2f}", f"{of['over_its_forwards']:.2f}")
        for name, of in result["recipes"].items()
    ]
    return [
        f"{_sentence(result)}: {result['model']}, {result['batch_size']} rows of {result['tokens']} tokens.",
        _table(("recipe", "seconds per step", "relative to `infonce`", "relative to its forward passes"), rows),
    ]


def _depth(result: Result) -> list[str]:
    rows = [
        (name, f"{of['texts_per_second']:.0f}", f"{of['times_the_whole_model']:.2f}")
        for name, of in result["depths"].items()
    ]
    return [
        f"{_sentence(result)}; `nearfar.load(path, layers=3)` truncates a model.",
        _table(("depth", "texts/s", "relative to the whole model"), rows),
    ]


def _dse(result: Result) -> list[str]:
    rows = [
        (name, f"{rate:,.0f}", f"{result['times_cross_encoder'][name]:.1f}")
        for name, rate in result["pairs_per_second"].items()
    ]
    size = f"{result['queries']} queries against {result['candidates']} candidates"
    return [f"{_sentence(result)}; {size}.", _table(("", "pairs/s", "relative to the cross-encoder"), rows)]


def _reranking(result: Result) -> list[str]:
    parts = [f"{_sentence(result)}; {result['documents']} documents a query, {result['threads']} threads."]
    for name, of in result["models"].items():
        rates = of["pairs_per_second"]
        rows = [
            (each, f"{rate:.1f}", f"{of['ms_per_query'][each]:,.0f}", f"{rates['nearfar'] / rate:.2f}")
            for each, rate in rates.items()
        ]
        parts.append(_table((name, "pairs/s", "ms per query", "nearfar is faster by"), rows))
    return parts


def _decoding(result: Result) -> list[str]:
    rows = [(name, f"{of['ms_a_token']:.1f}", f"{of['times_greedy']:.2f}") for name, of in result["decodings"].items()]
    lengths = f"k = {result['top_k']}, {result['new_tokens']} new tokens after {result['prompt_tokens']}"
    return [f"{_sentence(result)}; {lengths}.", _table(("decoding", "ms per token", "relative to greedy"), rows)]


def _images(result: Result) -> list[str]:
    rows = [
        (workers, f"{of['loader']:.0f}", f"{of['training']:.0f}", f"{of['training_over_step']:.2f}")
        for workers, of in result["workers"].items()
    ]
    size = f"{result['rows']} JPEG files of {result['pixels']} pixels, {result['views']} views of each"
    return [
        f"{_sentence(result)}; {size}. The step alone, on batches that are ready: {result['step']:.0f} rows/s.",
        _table(("worker processes", "loader alone, rows/s", "training, rows/s", "relative to the step alone"), rows),
    ]


def _startup(result: Result) -> list[str]:
    rows = [(f"`{name}`", _seconds(of)) for name, of in result["processes"].items()]
    return [f"{_sentence(result)}; its modules are compiled already.", _table(("", "seconds"), rows)]


def _reading(result: Result) -> list[str]:
    rows = [
        (kind, name, _seconds(timed), f"{timed['times_pyarrow']:.1f}")
        for kind, of in result["formats"].items()
        for name, timed in of["readers"].items()
    ]
    return [
        f"{_sentence(result)}; {result['rows']:,} rows. nearfar checks every value, and reports errors with file, line "
        "and field. It parses JSON lines with Arrow, and value by value if Arrow does not accept a line.",
        _table(("format", "reader", "seconds", "relative to pyarrow"), rows),
    ]


def _flow(result: Result) -> list[str]:
    rows = [
        (
            name + (" (projected)" if of.get("projected") else ""),
            f"{of['median_s']:,.0f}",
            f"{of['median_cpu_s']:,.0f}",
            f"{result['encoding'][name]['us_per_text']:,.0f}",
            f"{result['encoding'][name]['cpu_us_per_text']:,.0f}",
        )
        for name, of in result["command_with"].items()
    ]
    size = f"{result['dialogues']:,} dialogues, {result['turns']:,} turns, {result['texts']:,} distinct texts"
    ratio = result["encoding"]["minilm"]["cpu_us_per_text"] / result["encoding"]["actions"]["cpu_us_per_text"]
    return [
        f"{_sentence(result)}: {result['data']}; {size}, {result['threads']} threads. The command reads, encodes, "
        f"clusters, measures the quality on held-out dialogues, and writes the page. Both encoders encode the same "
        f"{result['sample']:,} texts in the same run; the encoder of actions takes {ratio:.0f} times less CPU time.",
        _table(("encoder", "seconds", "CPU seconds", "microseconds per text", "CPU microseconds per text"), rows),
    ]


def _comparison(result: Result) -> list[str]:
    runs = result["runs"]
    least = runs["forked"]["median_s"]
    rows = [
        (name, f"{of['median_s']:.0f}", f"{of['median_s'] / least:.2f}", f"{of['cpu']['median_s']:.0f}")
        for name, of in runs.items()
    ]
    return [
        f"{_sentence(result)}. On Linux without a GPU, the runs of `nearfar compare` are forked from a process that "
        "has imported what they need; elsewhere each starts a Python of its own. Of a run of minutes, this is a "
        "small part.",
        _table(("each run", "seconds", "relative time", "CPU seconds of the runs"), rows),
    ]


def _encoding(result: Result) -> list[str]:
    parts = [
        f"{_sentence(result)}, {result['texts']:,} texts in batches of {result['batch_size']}, {result['threads']} "
        "threads; the exports are those of `nearfar export`. Relative to `SentenceTransformer.encode` on the same "
        "texts; the last column is how far the worst cosine to its vectors is from 1:"
    ]
    for found in result["lengths"]:
        rows = [
            (
                name,
                f"{rate:.0f}",
                f"{found['relative_to_peer'][name]:.2f}",
                _difference(found["cosine_difference"], name),
            )
            for name, rate in found["texts_per_second"].items()
        ]
        heads = (f"at most {found['max_length']} tokens", "texts a second", "relative", "difference")
        parts.append(_table(heads, rows))
    return parts


def _difference(found: dict[str, float], name: str) -> str:
    return f"{max(found[name], 0.0):.1g}" if name in found else ""


def _share(result: Result) -> list[str]:
    parts = [
        f"{_sentence(result)}, {result['threads']} threads: the time of the products that the linear layers need for "
        "the tokens of these texts, without padding, in the same shapes, divided by the time of the whole."
    ]
    for name, found in result["works"].items():
        where = ", ".join(f"{kind} {share:.0%}" for kind, share in found["where"].items() if share >= 0.005)
        parts.append(
            f"- {name}, {found['tokens']:,} tokens, {found['padded_tokens']:,} with padding: {found['share']:.2f}. By "
            f"torch's profiler: {where}."
        )
    parts.append(
        "Texts are encoded in batches of about the same length. A batch of training is drawn, and a part of it is "
        "padding. The option `mini_batch_num_tokens` divides it into smaller forward passes, with less padding; they "
        "draw another dropout, and so change the results of a seed."
    )
    return parts


# The order of the page.
SECTIONS: dict[str, tuple[str, Callable[[Result], list[str]]]] = {
    "speed-kernel": ("The kernel", _kernel),
    "speed-kernel-gpu": ("The kernel on a GPU", _kernel_gpu),
    "speed-training": ("Training", _training),
    "speed-training-gpu": ("Training on a GPU", _training),
    "speed-encoding": ("Encoding", _encoding),
    "speed-share": ("Share of the machine's matrix-product rate", _share),
    "speed-comparison": ("Comparing recipes", _comparison),
    "speed-recipes": ("Recipes", _recipes),
    "speed-depth": ("Truncated models", _depth),
    "speed-dse": ("Scoring pairs", _dse),
    "speed-reranking": ("Reranking", _reranking),
    "speed-decoding": ("Decoding", _decoding),
    "speed-flow": ("Workflows of dialogues", _flow),
    "speed-reading": ("Reading rows", _reading),
    "speed-images": ("Loading images", _images),
    "speed-startup": ("Starting a command", _startup),
}


def _taken(name: str, result: Result) -> str:
    machine = result.get("machine")
    where = f" on {machine['cores']} cores ({machine['cpu']})" if machine else ""
    versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items() if version)
    return f"`{result['command']}`{where}; {versions}. All figures: `benchmarks/results/{name}.json`."


def _sentence(result: Result) -> str:
    return result["what"][:1].upper() + result["what"][1:]


def _seconds(timed: dict[str, Any]) -> str:
    return f"{timed['median_s']:.2f}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *(map(str, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
