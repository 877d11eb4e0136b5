"""From docstrings of the standard library to a fine-tuned model, an index, and a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.demo.docstrings import Entry, harvest, package_sources, part_of
from nearfar.demo.questions import DEPTH, Answer, ask, sample_questions
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.recipes import get
from nearfar.training.folder import RunFolder
from nearfar.writing import check_writable, folder_claimed

if TYPE_CHECKING:
    from nearfar.data import Retrieval
    from nearfar.evaluation import Interval, Result
    from nearfar.kinds.kind import Progress
    from nearfar.reports import Page
    from nearfar.search import Hit
    from nearfar.training.result import Run

OPTIONS: dict[str, Any] = {"epochs": 2.0, "learning_rate": 5e-5, "max_length": 48, "batch_size": 64}
"""Options of the recipe, chosen to take about five minutes on two cores; they are not tuned."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """The result of the demo.

    Args:
        folder: Contains `data/`, `run/` (with the model), `index/` and `report.html`.
        entries: Number of documented entries.
        run: The training run.
        before, after: Retrieval on the test modules, with the base model and the fine-tuned model.
        change: After minus before in nDCG@10, with an interval that resamples whole modules.
        answers: The answers to the example questions.
        seconds: Duration.
    """

    folder: Path
    entries: int
    run: Run
    before: Result
    after: Result
    change: Interval | None
    answers: list[Answer]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "folder": str(self.folder),
            "entries": self.entries,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "difference": None if self.change is None else self.change._asdict(),
            "answers": {each.question.text: [hit._asdict() for hit in each.hits] for each in self.answers},
            "expected": {each.question.text: each.as_dict() for each in self.answers},
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
    """Train on the docstrings of some modules, and measure on those of other modules.

    Args:
        out: Output folder.
        model: Base model: path, Hub ID or alias.
        packages: Additional installed packages to read.
        seed: Random seed of the split, the example questions and the training.
        resume: Resume an interrupted demo in ``out``.
        say: Called with one line at the beginning of each step.
        progress: Called during the training, see `train`.
        **options: Options of the recipe `infonce`, which override `OPTIONS`.

    Raises:
        InputError: ``out`` exists or is not writable, a package is not installed, or an option is invalid.
    """
    from nearfar.evaluation import evaluate
    from nearfar.evaluation.compared import paired_interval
    from nearfar.models import load
    from nearfar.models.loading import check_max_length
    from nearfar.search import build_index, open_index
    from nearfar.training.run import train

    started = time.monotonic()
    options = {**OPTIONS, **options}
    settings = with_settings(get("infonce").options(), options)
    folder = Path(out)
    if not folder.is_dir():
        _check_folder(folder, resume)
    check_writable(folder)
    with folder_claimed(folder):
        _check_folder(folder, resume)
        for package in packages:
            package_sources(package)
        encoder = load(model)
        if settings.max_length:
            check_max_length(encoder, settings.max_length)
        say("reading docstrings of the standard library" + "".join(f", {package}" for package in packages))
        entries = harvest(packages)
        parts = _parts(entries, seed)
        say(
            f"{len(entries):,} documented entries: {len(parts['train']):,} to train on, {len(parts['validation']):,} "
            f"to validate and {len(parts['test']):,} to test, split by whole modules"
        )
        corpus = {entry.name: entry.text for entry in entries}
        # Validation follows the run and searches only its own modules; the test searches the entries of all modules.
        validation = _questions(parts["validation"], {entry.name: entry.text for entry in parts["validation"]})
        test = _questions(parts["test"], corpus)
        # Before training, so that no answer can influence the choice.
        examples = sample_questions(test, seed)

        _write(parts["train"], {"validation": validation, "test": test}, folder / "data")
        say("measuring the base model on the test modules")
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
        say("measuring the fine-tuned model")
        after = evaluate(run.model, test)
        groups = [part.partition(".")[0] for part in test.queries]
        change = paired_interval(before, after, groups=groups, seed=seed)

        say("building the index")
        build_index(str(folder / "run" / "model"), list(corpus.values()), folder / "index", ids=list(corpus))
        answers = ask(open_index(folder / "index"), examples)
        found = Demo(folder, len(entries), run, before, after, change, answers, time.monotonic() - started)
        report(found, parts, encoder, seed).write(folder / "report.html")
        return found


def _check_folder(folder: Path, resume: bool) -> None:
    """Refuse a folder that exists, or, to resume, a folder that no demo has written."""
    # A name with a leading dot is a draft of an interrupted demo.
    there = {path.name for path in folder.iterdir() if path.name[0] != "."} if folder.is_dir() else set()
    if there and not resume:
        remedy = "add --resume to resume a demo in it, or choose a new folder"
        raise InputError("already exists", file=folder, field="--out", remedy=remedy)
    if foreign := sorted(there - {"data", "run", "index", "report.html"}):
        problem = f"contains {foreign[0]!r}, which is not part of a demo"
        raise InputError(problem, file=folder, field="--out", remedy="choose a new folder")


def _parts(entries: Sequence[Entry], seed: int) -> dict[str, list[Entry]]:
    parts: dict[str, list[Entry]] = {"train": [], "validation": [], "test": []}
    for entry in entries:
        parts[part_of(entry.module, seed)].append(entry)
    if min(map(len, parts.values())) < 100:
        raise InputError(
            f"the standard library of this Python has only {len(entries)} documented entries",
            remedy="use a Python whose standard library is installed as source files",
        )
    return parts


def _write(pairs: Sequence[Entry], held_out: Mapping[str, Retrieval], folder: Path) -> None:
    """Write `train.jsonl`, and a BEIR-format folder for each held-out part: the formats of a user's own data."""
    from nearfar.data import write_jsonl, write_retrieval

    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl(({"anchor": entry.summary, "positive": entry.text} for entry in pairs), folder / "train.jsonl")
    for part, questions in held_out.items():
        write_retrieval(questions, folder / part)


def _questions(entries: Sequence[Entry], corpus: dict[str, str]) -> Retrieval:
    """Summaries as queries over a corpus of entries. All entries with the same summary are relevant."""
    from nearfar.data import Retrieval

    answers: dict[str, dict[str, int]] = {}
    for entry in entries:
        answers.setdefault(entry.summary, {})[entry.name] = 1
    queries = {next(iter(names)): summary for summary, names in answers.items()}
    return Retrieval(corpus, queries, {query: answers[summary] for query, summary in queries.items()})


def report(found: Demo, parts: Mapping[str, Sequence[Entry]], base: Any, seed: int) -> Page:
    """The page of a demo; ``base`` is the base model."""
    from datasets import Dataset

    from nearfar.evaluation.similarity import pair_similarity
    from nearfar.reports import Page
    from nearfar.training.page import add_loss, add_outcome, add_similarities

    modules = {part: sorted({entry.module for entry in entries}) for part, entries in parts.items()}
    page = Page(
        "Finding Python's functions by what they do",
        "The query is a sentence that describes a function, and the function's API entry should be the first result. "
        "The model is trained on some modules of the standard library and measured on others.",
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
    page.text(f"The interval of the verdict resamples whole modules: {', '.join(modules['test'])}.")
    add_loss(page, found.run.log, found.before.primary)
    rows = Dataset.from_dict(
        {"anchor": [e.summary for e in parts["test"]], "positive": [e.text for e in parts["test"]]}
    )
    add_similarities(page, pair_similarity(base, rows, seed=seed), pair_similarity(found.run.model, rows, seed=seed))
    _add_answers(page, found.answers)
    page.section("Use your own data")
    page.code(next_steps(found))
    return page


def _add_answers(page: Page, answers: Sequence[Answer]) -> None:
    page.section(
        "Example questions",
        f"{len(answers)} test questions, sampled before training and answered by the fine-tuned model from the index "
        f"over all entries. {summary(answers)}",
    )
    rows, expected = [], []
    for answer in answers:
        for hit in answer.shown:
            if hit.id in answer.question.expected:
                expected.append(len(rows))
            rows.append([answer.question.text, f"{hit.rank:,}", f"{hit.score:.3f}", title(hit)])
    page.table(["question", "rank", "similarity", "entry"], rows, "Highlighted: the expected entry.", expected)


def summary(answers: Sequence[Answer]) -> str:
    """For how many questions an expected entry was found."""
    found = sum(answer.found for answer in answers)
    return f"The expected entry is among the first {DEPTH} for {found} of {len(answers)} questions."


def title(hit: Hit) -> str:
    """The first line of an entry: its name and signature."""
    return hit.text.partition("\n")[0]


def next_steps(found: Demo) -> str:
    """Commands to try next."""
    return (
        f'nearfar search {found.folder}/run/model {found.folder}/data/test/corpus.jsonl "parse a date"\n'
        "nearfar train infonce --data your-pairs.jsonl --eval held-out-pairs.jsonl --out runs/first\n"
        "nearfar evaluate runs/first/model --data held-out-pairs.jsonl"
    )
