"""From the standard library's docstrings to a better model, an index over them, and a page that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar import recipes
from nearfar.demo.docstrings import Entry, harvest, package_sources, part_of
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.training.folder import RunFolder
from nearfar.writing import check_writable

if TYPE_CHECKING:
    from nearfar.data import Retrieval
    from nearfar.evaluation import Interval, Result
    from nearfar.kinds.kind import Progress
    from nearfar.search import Hit
    from nearfar.training.result import Run

#: What a reader may compare: each is answered by the index with the trained model.
QUERIES = (
    "wait until several coroutines are done",
    "compare two files and show the lines that differ",
    "remove a directory and everything in it",
)
#: Chosen for about five minutes on two cores, and not tuned.
OPTIONS: dict[str, Any] = {"epochs": 2.0, "learning_rate": 5e-5, "max_length": 48, "batch_size": 64}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Args:
        folder: Holds `data/`, `run/` (with the model), `index/` and `report.html`.
        entries: Documented entries in all.
        before, after: Retrieval on the test modules.
        change: After minus before in nDCG@10; whole modules are resampled.
        answers: The example queries with what the index found.
        seconds: What it took.
    """

    folder: Path
    entries: int
    run: Run
    before: Result
    after: Result
    change: Interval | None
    answers: dict[str, list[Hit]]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "folder": str(self.folder),
            "entries": self.entries,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "difference": None if self.change is None else self.change._asdict(),
            "answers": {query: [hit._asdict() for hit in hits] for query, hits in self.answers.items()},
            "seconds": self.seconds,
        }


def demo(
    out: str | Path = "nearfar-demo",
    *,
    model: str = "minilm",
    packages: Sequence[str] = (),
    seed: int = 0,
    resume: bool = False,
    say: Say = print,
    progress: Progress | None = None,
    **options: Any,
) -> Demo:
    """Train on the docstrings of some modules, measure on others.

    Args:
        out: The folder to write.
        model: A folder, a hub id, or an alias.
        packages: Installed distributions to read as well.
        seed: Decides which modules are held out, and the training.
        resume: Go on with an interrupted demo.
        say: Called with one line before each part.
        progress: Called while training, see `train`.
        **options: Options of the recipe `infonce`, over those of `OPTIONS`.
    """
    from nearfar.evaluation import evaluate
    from nearfar.evaluation.compared import paired_interval
    from nearfar.models import load
    from nearfar.models.loading import check_max_length
    from nearfar.search import build_index, open_index
    from nearfar.training.run import train

    started = time.monotonic()
    options = {**OPTIONS, **options}
    settings = with_settings(recipes.get("infonce").options(), options)
    folder = Path(out)
    _check_folder(folder, resume)
    check_writable(folder)
    for package in packages:
        package_sources(package)
    encoder = load(model)
    if settings.max_length:
        check_max_length(encoder, settings.max_length)
    say("reading docstrings of the standard library" + "".join(f", {package}" for package in packages))
    entries = harvest(packages)
    parts = _parts(entries, seed)
    say(
        f"{len(entries):,} documented entries: {len(parts['train']):,} to train on, {len(parts['validation']):,} to "
        f"validate and {len(parts['test']):,} to test, split by whole modules"
    )
    corpus = {entry.name: entry.text for entry in entries}
    # Validation is a glance at the run: it searches its own modules. The test has to find its answers among all.
    validation = _questions(parts["validation"], {entry.name: entry.text for entry in parts["validation"]})
    test = _questions(parts["test"], corpus)

    _write(parts["train"], {"validation": validation, "test": test}, folder / "data")
    say("measuring the model as it came on the test modules")
    before = evaluate(encoder, test)
    say(f"nDCG@10 {before.score:.3f} over {before.n:,} questions and {len(corpus):,} entries; training")
    run = train(
        "infonce",
        folder / "data" / "train.jsonl",
        model=model,
        evaluation=folder / "data" / "validation",
        out=folder / "run",
        seed=seed,
        # The demo may have been interrupted before the run began.
        resume=resume and RunFolder(folder / "run").configuration.exists(),
        progress=progress,
        **options,
    )
    say("measuring the trained model")
    after = evaluate(run.model, test)
    groups = [part.partition(".")[0] for part in test.queries]
    change = paired_interval(before, after, groups=groups, seed=seed)

    say("building the index")
    build_index(str(folder / "run" / "model"), list(corpus.values()), folder / "index", ids=list(corpus))
    index = open_index(folder / "index")
    answers = {query: index.search(query, 3) for query in QUERIES}
    found = Demo(folder, len(entries), run, before, after, change, answers, time.monotonic() - started)
    _page(found, parts, encoder, seed).write(folder / "report.html")
    return found


def _check_folder(folder: Path, resume: bool) -> None:
    """Nothing of somebody else's is written over."""
    # A name with a dot in front is a draft of ours that a kill left behind.
    there = {path.name for path in folder.iterdir() if path.name[0] != "."} if folder.is_dir() else set()
    if there and not resume:
        remedy = "pass --resume to go on with a demo in it, or name a new folder"
        raise InputError("is there already", file=folder, field="--out", remedy=remedy)
    if foreign := sorted(there - {"data", "run", "index", "report.html"}):
        problem = f"holds {foreign[0]!r}, which no demo wrote"
        raise InputError(problem, file=folder, field="--out", remedy="name a new folder")


def _parts(entries: Sequence[Entry], seed: int) -> dict[str, list[Entry]]:
    parts: dict[str, list[Entry]] = {"train": [], "validation": [], "test": []}
    for entry in entries:
        parts[part_of(entry.module, seed)].append(entry)
    if min(map(len, parts.values())) < 100:
        raise InputError(
            f"this Python's library has only {len(entries)} documented entries",
            remedy="run the demo with a Python that ships its library as source files",
        )
    return parts


def _write(pairs: Sequence[Entry], held_out: Mapping[str, Retrieval], folder: Path) -> None:
    """`train.jsonl`, and a retrieval folder for each held-out part: what the commands would read of a user's own."""
    from nearfar.data import write_jsonl, write_retrieval

    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl(({"anchor": entry.summary, "positive": entry.text} for entry in pairs), folder / "train.jsonl")
    for part, questions in held_out.items():
        write_retrieval(questions, folder / part)


def _questions(entries: Sequence[Entry], corpus: dict[str, str]) -> Retrieval:
    """Summaries as queries over a corpus of entries. Entries with the same summary all count as found."""
    from nearfar.data import Retrieval

    answers: dict[str, dict[str, int]] = {}
    for entry in entries:
        answers.setdefault(entry.summary, {})[entry.name] = 1
    queries = {next(iter(names)): summary for summary, names in answers.items()}
    return Retrieval(corpus, queries, {query: answers[summary] for query, summary in queries.items()})


def _page(found: Demo, parts: dict[str, list[Entry]], untrained: Any, seed: int) -> Any:
    from datasets import Dataset

    from nearfar.evaluation.similarity import pair_similarity
    from nearfar.reports import Page
    from nearfar.training.page import add_loss, add_outcome, add_similarities

    modules = {part: sorted({entry.module for entry in entries}) for part, entries in parts.items()}
    page = Page(
        "Finding Python's functions by what they do",
        "A sentence about what a function does goes in, its API entry should come out first. The model learned from "
        "some modules of the standard library and is measured on others.",
        [
            ("entries", f"{found.entries:,}"),
            ("training pairs", f"{len(parts['train']):,}"),
            ("test questions", f"{found.before.n:,}"),
            ("steps", found.run.metrics["steps"]),
            ("minutes", f"{found.seconds / 60:.1f}"),
            ("seed", seed),
        ],
    )
    add_outcome(page, found.before, found.after, found.change, seed)
    page.text(f"The verdict's interval resamples whole modules: {', '.join(modules['test'])}.")
    add_loss(page, found.run.log, found.before.primary)
    rows = Dataset.from_dict(
        {"anchor": [e.summary for e in parts["test"]], "positive": [e.text for e in parts["test"]]}
    )
    add_similarities(
        page, pair_similarity(untrained, rows, seed=seed), pair_similarity(found.run.model, rows, seed=seed)
    )
    page.section("Three questions", "Answered by the trained model from the index over all entries.")
    page.table(
        ["question", "rank", "similarity", "entry"],
        [
            [query, str(hit.rank), f"{hit.score:.3f}", hit.text.partition("\n")[0]]
            for query, hits in found.answers.items()
            for hit in hits
        ],
    )
    page.section("With your own data")
    page.code(next_steps(found))
    return page


def next_steps(found: Demo) -> str:
    """Commands to go on with."""
    return (
        f'nearfar search {found.folder}/run/model {found.folder}/data/test/corpus.jsonl "parse a date"\n'
        "nearfar train infonce --data your-pairs.jsonl --eval held-out-pairs.jsonl --out runs/first\n"
        "nearfar evaluate runs/first/model --data held-out-pairs.jsonl"
    )
