"""The commands that write, for the test of faults: how each is called, and what of its output must be whole."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from _fault_inputs import NOUNS, write_jsonl

Look = dict[str, str]


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Args:
        new: Its arguments.
        look: What it writes, in parts that are each replaced as one: name -> digest of those that are there.
        old: Arguments of the run before it, whose output it replaces; None: it starts afresh.
        other: Arguments of the one that runs beside it.
        again: Arguments after a fault.
        change: Called between the old run and the new one.
        first: Arguments of runs before all others, whose output is the input of this one.
    """

    new: list[str]
    look: Callable[[Path], Look]
    old: list[str] | None = None
    other: list[str] | None = None
    again: Callable[[Path], list[str]] | None = None
    change: Callable[[Path], None] | None = None
    first: tuple[list[str], ...] = ()


def commands() -> dict[str, Command]:
    """All that are tried, by name."""
    quick = ["--model", "tiny", "--set", "batch_size=8", "--set", "save_steps=2", "--set", "learning_rate=0.001"]
    train = ["train", "infonce", "--data", "pairs.jsonl", "--eval", "held.jsonl", "--out", "run", *quick]
    steps, more = ["--set", "max_steps=5"], ["--set", "max_steps=8", "--resume"]
    compare = ["compare", "infonce", "--data", "pairs.jsonl", "--eval", "held.jsonl", "--seeds", "1", "--out", "out"]
    compare += ["--set", "max_steps=2", "--set", "batch_size=8", "--model", "tiny"]
    encode = ["encode", "tiny", "texts.jsonl", "--batch-size", "2"]
    predict = ["predict", "classifier", "texts.jsonl", "--batch-size", "1", "--out", "found.jsonl"]
    search = ["search", "tiny", "corpus.jsonl", "the dog"]
    flow = ["flow", "calls.jsonl", "--out", "flow.html", "--export", "flow.json", "--store", "store", "--model", "tiny"]
    generate = ["refine", "generate", "texts.jsonl", "--out", "triplets.jsonl", "--model", "lm", "--batch-size", "2"]
    rationales = ["refine", "rationales", "questions.jsonl", "--out", "rationales.jsonl", "--model", "explainer"]
    rationales += ["--samples", "2", "--batch-size", "2"]
    filter_ = ["refine", "filter", "pairs.jsonl", "--columns", "negative=other", "--out", "kept.jsonl"]
    filter_ += ["--dropped", "gone.jsonl", "--encoder", "tiny", "--gamma", "0"]
    inspect = ["inspect", "tiny", "--data", "pairs.jsonl", "--out", "out"]
    evaluate = ["evaluate", "tiny", "--data", "held.jsonl", "--layers", "1,2", "--report", "sizes.html"]
    continued = ["generate", "lm", "--prompts", "texts.jsonl", "--out", "texts-out.jsonl", "--batch-size", "2"]
    sweep = ["sweep", "infonce", "--data", "pairs.jsonl", "--eval", "labelled.jsonl", "--temperatures", "0.05,1"]
    sweep += ["--eval-columns", "text=text", "--out", "out", "--set", "max_steps=2", *quick]
    questions = ["refine", "questions", "corpus.jsonl", "--out", "asked.jsonl", "--dropped", "gone.jsonl"]
    questions += ["--model", "lm", "--encoder", "tiny", "--batch-size", "2", "--max-tokens", "4", "--passages", "6"]
    questions += ["--kinds", "question", "--max-copied", "1", "--held-out", "0.3"]
    mine = ["mine", "pairs.jsonl", "--corpus", "corpus.jsonl", "--out", "mined.jsonl", "--batch-size", "8"]
    fix = [*inspect, "--fix", "fixed.jsonl", "--layers", "none", "--dims", "none"]
    shards = ["encode", "tiny", "corpus.jsonl", "--out", "v.npy", "--batch-size", "1"]
    streamed = ["encode", "tiny", "corpus.jsonl", "--out", "v.parquet", "--batch-size", "1", "--stream"]
    fuse_data = ["fuse", "other", "tiny", "--out", "fused", "--data", "held.jsonl", "--weights", "0.5,1"]
    fuse_data += ["--keep", "held.jsonl", "--limit", "1"]
    distill = ["distill", "tiny", "--out", "static", "--data", "held.jsonl"]
    export = ["export", "tiny", "--out", "export", "--data", "held.jsonl"]
    parquet = ["export", "corpus.jsonl.index", "--for", "parquet", "--out", "index.parquet"]
    lance = ["export", "corpus.jsonl.index", "--for", "lancedb", "--out", "database/texts.lance"]
    results = [*search[:-1], "--queries", "texts.jsonl", "--out", "found.jsonl"]
    log = ["flow", "calls.jsonl", "--out", "flow.html", "--model", "tiny", "--actions", "2"]
    update = [
        "flow",
        "later.jsonl",
        "--out",
        "new.html",
        "--model",
        "tiny",
        "--store",
        "store",
        "--update",
        "flow.html",
    ]
    views = ["new.json", "new.mmd", "new.dot", "new.bpmn", "new.rasa.yml", "new.xes", "new.events.csv"]
    update += [word for name in views for word in ("--export", name)]
    wide = ["--search", "learning_rate=1e-3,1e-4", "--keep", "none"]
    demo = ["demo", "--model", "tiny", "--out", "out", "--set", "max_steps=2", "--set", "batch_size=8"]
    return {
        "train": Command(
            [*train, *steps], _run, other=[*train, *steps, "--seed", "1"], again=_resumed([*train, *steps], "run.yaml")
        ),
        "train longer": Command([*train, *more], _run, old=[*train, *steps]),
        "compare": Command(compare, _comparison, again=_resumed(compare, "compare.yaml")),
        "encode": Command(
            [*encode, "--out", "v.npy"],
            _files("v.npy"),
            old=["encode", "other", "texts.jsonl", "--out", "v.npy"],
            other=["encode", "other", "texts.jsonl", "--out", "v.npy"],
        ),
        "predict": Command([*predict, "--top", "2"], _files("found.jsonl"), old=[*predict, "--top", "1"]),
        "search": Command(search, _index, old=search, change=_another_corpus),
        "flow": Command(
            [*flow, "--actions", "3"],
            _files("flow.html", "flow.json", "flow.html.actions.safetensors"),
            old=[*flow, "--actions", "2"],
        ),
        "refine generate": Command(
            [*generate, "--max-tokens", "4"], _files("triplets.jsonl"), old=[*generate, "--max-tokens", "3"]
        ),
        "refine rationales": Command(
            [*rationales, "--max-tokens", "12"], _files("rationales.jsonl"), old=[*rationales, "--max-tokens", "8"]
        ),
        "refine filter": Command(
            [*filter_, "--alpha", "1"], _files("kept.jsonl", "gone.jsonl"), old=[*filter_, "--alpha", "4.9"]
        ),
        "fuse": Command(["fuse", "tiny", "tiny", "other", "--out", "fused"], _tree("fused")),
        "inspect": Command(
            [*inspect, "--seed", "1"], _files("out/inspect.json", "out/report.html"), old=[*inspect, "--rows", "20"]
        ),
        "evaluate": Command([*evaluate, "--dims", "8,32"], _page("sizes.html"), old=[*evaluate, "--dims", "16,32"]),
        "generate": Command(
            [*continued, "--max-new-tokens", "6"], _files("texts-out.jsonl"), old=[*continued, "--max-new-tokens", "4"]
        ),
        "sweep": Command(
            sweep, _models("out/infonce-0.05", "out/infonce-1"), again=_resumed(sweep, "infonce-0.05/run.yaml")
        ),
        "compare --search": Command([*compare, *wide], _comparison, again=_resumed([*compare, *wide], "compare.yaml")),
        "encode --stream": Command(streamed, _files("v.parquet"), old=[*streamed, "--no-normalize"]),
        "encode --shard": Command(
            [*shards, "--shard", "2/2"],
            _files("v.00002-of-00002.npy", "v.00002-of-00002.json"),
            old=["encode", "other", *shards[2:], "--shard", "2/2"],
        ),
        "encode --join": Command(
            [*shards, "--join", "2"],
            _files("v.npy"),
            old=["encode", "other", *shards[2:]],
            first=([*shards, "--shard", "1/2"], [*shards, "--shard", "2/2"]),
        ),
        "search --out": Command([*results, "-k", "3"], _files("found.jsonl"), old=[*results, "-k", "2"]),
        "flow --update": Command(
            [*update, "--edge-threshold", "0.1"],
            _files("new.html", "new.html.actions.safetensors", *views),
            old=[*update, "--edge-threshold", "0.9"],
            first=(log,),
        ),
        "refine questions": Command(
            [*questions, "--rank", "60"],
            _files("asked.jsonl", "asked.eval.jsonl", "gone.jsonl"),
            old=[*questions, "--rank", "20"],
        ),
        "mine": Command(
            [*mine, "--model", "tiny"],
            _each(_files("mined.jsonl", "mined.jsonl.dropped.jsonl"), _index),
            old=[*mine, "--model", "other", "--relative-margin", "0.01"],
        ),
        "inspect --fix": Command(
            [*fix, "--near-duplicate", "0.97"],
            _files("fixed.jsonl", "fixed.jsonl.changes.jsonl", "out/inspect.json", "out/report.html"),
            old=[*fix, "--fix-action", "near_duplicates=drop"],
        ),
        "fuse --data": Command(fuse_data, _each(_tree("fused"), _files("fused.html"))),
        "distill": Command([*distill, "--dims", "8"], _tree("static"), other=[*distill, "--dims", "4"]),
        "export --for static": Command([*export, "--for", "static"], _tree("export"), other=[*export, "--for", "vllm"]),
        "export --for onnx": Command([*export, "--for", "onnx"], _tree("export"), other=[*export, "--for", "tei"]),
        "export --for parquet": Command(
            [*parquet, "--fields", "about"], _files("index.parquet"), old=parquet, first=(search,)
        ),
        "export --for lancedb": Command([*lance, "--fields", "about"], _lance_table, other=lance, first=(search,)),
        "push --dry-run": Command(
            ["push", "run", "--to", "me/a", "--dry-run", "upload"],
            _tree("upload"),
            first=([*train, *steps],),
        ),
        "demo": Command(demo, _models("out/run"), again=_resumed(demo, "data")),
    }


def _resumed(arguments: list[str], claim: str) -> Callable[[Path], list[str]]:
    folder = arguments[arguments.index("--out") + 1]
    return lambda work: [*arguments, *(["--resume"] if (work / folder / claim).exists() else [])]


def _another_corpus(folder: Path) -> None:
    write_jsonl(folder / "corpus.jsonl", [{"_id": noun, "text": f"a {noun} by the sea"} for noun in NOUNS])


def _files(*names: str) -> Callable[[Path], Look]:
    return lambda work: {name: _sha256(work / name) for name in names if (work / name).exists()}


def _each(*looks: Callable[[Path], Look]) -> Callable[[Path], Look]:
    """The parts of several."""
    return lambda work: {part: digest for look in looks for part, digest in look(work).items()}


def _lance_table(work: Path) -> Look:
    """A table of LanceDB: its rows. Its files have random names."""
    if not (work / "database").exists():
        return {}
    # LanceDB starts threads, after which nothing can be forked off.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as process:
        return process.submit(_lance_rows, work / "database").result()


def _lance_rows(database: Path) -> Look:
    import lancedb

    found: Look = {}
    for folder in sorted(database.iterdir()):
        if folder.name.startswith("."):
            continue
        try:
            rows = lancedb.connect(str(database)).open_table(folder.stem).to_arrow().to_pylist()
        except Exception as error:
            found[folder.name] = f"cannot be opened: {error}"[:200]
        else:
            found[folder.name] = hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()
    return found


def _tree(name: str) -> Callable[[Path], Look]:
    """A folder as one part; of its sums, whether they are those of its files."""

    def look(work: Path) -> Look:
        files = sorted(path for path in (work / name).rglob("*") if path.is_file())
        # Texts per second are in some files, so their sums differ too.
        digests = {path: _sums(path) if path.name == "SHA256SUMS" else _sha256(path) for path in files}
        listed = "\n".join(f"{path.relative_to(work)} {digest}" for path, digest in digests.items())
        return {name: hashlib.sha256(listed.encode()).hexdigest()} if (work / name).exists() else {}

    return look


def _run(work: Path) -> Look:
    """The model of a run, to the byte; the figures, which are in place when it is finished."""
    found = {}
    weights = work / "run" / "model" / "model.safetensors"
    if (work / "run" / "model").exists():
        found["model"] = _sha256(weights) if weights.exists() else "no weights"
    return found


def _page(name: str) -> Callable[[Path], Look]:
    """A page that shows how long things took: it is whole, and of the old or of the new run."""

    def look(work: Path) -> Look:
        if not (work / name).exists():
            return {}
        text = (work / name).read_text("utf-8")
        dims = re.findall(r"<t[hd][^>]*>\s*(8|16|32)\s*<", text)
        return {name: f"whole, {sorted(set(dims))}" if text.rstrip().endswith("</html>") else "cut"}

    return look


def _models(*runs: str) -> Callable[[Path], Look]:
    """The models of several runs."""

    def look(work: Path) -> Look:
        weights = {run: work / run / "model" / "model.safetensors" for run in runs}
        return {
            run: _sha256(path) if path.exists() else "no weights"
            for run, path in weights.items()
            if path.parent.exists()
        }

    return look


def _comparison(work: Path) -> Look:
    metrics = work / "out" / "metrics.json"
    if not metrics.exists():
        return {}
    of = json.loads(metrics.read_text("utf-8"))
    return {"ranking": json.dumps([[row["name"], row["score"]] for row in of["ranking"]])}


def _index(work: Path) -> Look:
    """An index whose files belong together."""
    import yaml

    folder = work / "corpus.jsonl.index"
    if not folder.exists():
        return {}
    metadata = yaml.safe_load((folder / "index.yaml").read_text("utf-8"))
    sums = {name: _sha256(folder / name) for name in ("vectors.usearch", "texts.arrow")}
    return {"index": sums["texts.arrow"] if sums == metadata["sha256"] else f"mixed: {sums}"}


def _sums(path: Path) -> str:
    """The files that a list of sums names, and those whose sum is another one."""
    lines = [line.split("  ", 1) for line in path.read_text("utf-8").splitlines()]
    files = {name: path.parent / name for _, name in lines}
    wrong = [
        name
        for digest, name in lines
        if not files[name].is_file() or hashlib.sha256(files[name].read_bytes()).hexdigest() != digest
    ]
    return f"{sorted(files)}, wrong: {wrong}"


#: How long things took, which differs from run to run.
_TIMES = {
    "inspect.json": rb'"seconds": [0-9.e-]+',
    "export.json": rb'"texts_per_second": \{[^}]*\}',
    "README.md": rb"\| texts per second \|.*",
}


def _sha256(path: Path) -> str:
    content = path.read_bytes()
    if path.name in _TIMES:
        content = re.sub(_TIMES[path.name], b"", content)
    return hashlib.sha256(content).hexdigest()
