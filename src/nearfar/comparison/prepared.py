"""The rows of a comparison: read and checked once, and written to files that every run reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.leaks import Leaks, find_leaks, refuse_same, rows_without_same
from nearfar.comparison.sources import check_paths, hash_of, read_source, with_absolute_paths
from nearfar.comparison.variants import Variant, read_variants, without_validation
from nearfar.data.media import medium_in
from nearfar.errors import InputError
from nearfar.evaluation.groups import Split, split_by_groups
from nearfar.training.joining import Joined, check_weights, listed, mapping_of_each, weighted

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.comparison.request import Request
    from nearfar.data import Retrieval

TRAINING, TEXTS, EVALUATION = "training", "texts", "evaluation"


@dataclass(frozen=True)
class Prepared:
    """The training rows and the evaluation rows of a comparison.

    Args:
        training: Training rows.
        held_out: Evaluation rows.
        task: The evaluation task that the evaluation rows allow.
        leaks: The texts that both have in common.
        split: How the rows were split, if no evaluation data was given.
        dropped: Number of training rows removed because they are evaluation rows.
        learn: Whether the task's classifier learns on the training rows, because these contain every label.
        sha256: Hashes of the training rows and the evaluation rows.
        variants: Other training rows, by name.
    """

    training: Dataset
    held_out: Dataset | Retrieval
    task: str
    leaks: Leaks
    split: Split | None
    dropped: int
    learn: bool
    sha256: tuple[str, str]
    variants: Mapping[str, Variant] = field(default_factory=dict)

    @property
    def variant_hashes(self) -> dict[str, str]:
        """Hashes of the rows of the variants."""
        return {name: hash_of(variant.rows) for name, variant in self.variants.items()}

    @property
    def training_sets(self) -> dict[str, Dataset]:
        """The training rows, under an empty name, and those of the variants."""
        return {"": self.training, **{name: variant.rows for name, variant in self.variants.items()}}


def prepare(request: Request) -> Prepared:
    """Read training and evaluation rows, or split one dataset, and check that recipes can be compared on them.

    Raises:
        InputError: Rows cannot be read or used for evaluation, evaluation rows are training rows, or the rows cannot be
            split because too many of them share texts.
    """
    sources = listed(request.data)
    mappings = mapping_of_each(request.columns, len(sources) + len(request.variants))
    prepared = _of_data(request, sources, mappings[: len(sources)])
    variants = read_variants(request, mappings[len(sources) :], prepared.held_out, prepared.split)
    return replace(prepared, variants=variants)


def _of_data(request: Request, sources: Mapping[str, Any], mappings: Sequence[Mapping[str, str] | None]) -> Prepared:
    """The rows without variants."""
    from nearfar.data import Retrieval
    from nearfar.evaluation import detect_task
    from nearfar.training.held_out import read_rows

    data, evaluate_on = request.data, request.evaluate_on
    weights = check_weights(request.weights, len(sources))
    joined = Joined(
        {
            name: read_source(source, own, skip_broken=request.skip_broken)
            for (name, source), own in zip(sources.items(), mappings, strict=True)
        }
    )
    rows, origins = joined.rows, joined.origins()
    file = data if isinstance(data, (str, Path)) else None
    if len(rows) < 2:
        raise InputError("expected at least 2 rows, got 1", file=file, remedy="use more rows")
    check_paths(rows, file)
    if evaluate_on is None:
        try:
            task = detect_task(rows)
        except InputError as error:
            remedy = "pass --eval FILE with pairs, scored pairs, ranked lists or labelled texts"
            raise InputError("no evaluation task fits these rows", file=file, remedy=remedy) from error
        split = split_by_groups(rows, share=request.held_out)
        training, held_out = rows.select(split.training), rows.select(split.held_out)
        leaks = find_leaks(training, held_out)
        training = weighted(training, origins[split.training], weights)
        return _prepared(training, held_out, task, leaks, split, 0)
    shared = mappings[0] if all(own == mappings[0] for own in mappings) else None
    held_out, _ = read_rows(evaluate_on, shared, request.evaluation_columns, request.skip_broken)
    if not isinstance(held_out, Retrieval):
        held_out = with_absolute_paths(held_out)
    task = detect_task(held_out)
    leaks, dropped = find_leaks(rows, held_out), 0
    if request.drop_leaks and leaks.same:
        kept = rows_without_same(rows, held_out)
        dropped, rows, origins = len(rows) - len(kept), rows.select(kept), origins[kept]
        leaks = find_leaks(rows, held_out)
    refuse_same(leaks, evaluate_on if isinstance(evaluate_on, (str, Path)) else None)
    return _prepared(weighted(rows, origins, weights), held_out, task, leaks, None, dropped)


def with_validation(prepared: Prepared, request: Request) -> tuple[Prepared, Prepared]:
    """The rows on which a search chooses, and those on which it measures; both with the same training rows.

    Validation rows are given, or groups of the training rows are held out, as evaluation rows are.

    Raises:
        InputError: Validation rows cannot be used or separated, or are training rows or evaluation rows.
    """
    from nearfar.data.retrieval import Retrieval
    from nearfar.evaluation import detect_task
    from nearfar.training.held_out import read_rows

    training, split, field = prepared.training, None, "--validation"
    if request.validate_on is not None:
        mapped = request.columns if isinstance(request.columns, Mapping) else None
        validation, _ = read_rows(request.validate_on, mapped, request.evaluation_columns, request.skip_broken)
        if not isinstance(validation, Retrieval):
            validation = with_absolute_paths(validation)
            if find_leaks(validation, prepared.held_out).same:
                problem = "validation rows are evaluation rows too"
                raise InputError(problem, field=field, remedy="remove them from one file")
        if find_leaks(training, validation).same:
            problem = "validation rows are training rows too"
            raise InputError(problem, field=field, remedy="remove them from one file")
    else:
        try:
            detect_task(training)
            split = split_by_groups(training, share=request.held_out)
        except InputError as error:
            problem = f"the training rows cannot be split into training and validation rows: {error.problem}"
            raise InputError(problem, field="--data", remedy="give validation rows with --validation") from error
        training, validation = training.select(split.training), training.select(split.held_out)
    task, leaks = detect_task(validation), find_leaks(training, validation)
    choosing = _prepared(training, validation, task, leaks, split, 0)
    held_out = prepared.held_out
    leaks = find_leaks(training, held_out)
    measuring = _prepared(training, held_out, prepared.task, leaks, prepared.split, prepared.dropped)
    variants = without_validation(prepared.variants, validation, split, request.held_out)
    measured = {name: replace(each, leaks=find_leaks(each.rows, held_out)) for name, each in variants.items()}
    return replace(choosing, variants=variants), replace(measuring, variants=measured)


def write_rows(prepared: Prepared, folder: Path) -> None:
    """Write both splits into a folder, so that a resumed run reads the same rows."""
    from datasets import Dataset

    from nearfar.data import write_retrieval
    from nearfar.data.retrieval import Retrieval
    from nearfar.writing import draft_of

    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[Path, Dataset] = {}
    for name, rows in prepared.training_sets.items():
        tables[training_in(folder, name)] = rows
        if texts := single_texts(rows):
            tables[training_in(folder, name, texts=True)] = Dataset.from_dict({"text": texts})
    if isinstance(prepared.held_out, Retrieval):
        write_retrieval(prepared.held_out, folder / EVALUATION)
    else:
        tables[folder / f"{EVALUATION}.parquet"] = prepared.held_out
    for file, rows in tables.items():
        with draft_of(file) as draft:
            rows.to_parquet(str(draft))


def training_in(folder: Path, variant: str = "", *, texts: bool = False) -> Path:
    """Path of the training rows, or of those of a variant, that `write_rows` wrote; or of their single texts."""
    return folder / f"{TEXTS if texts else TRAINING}{variant and f'-{variant}'}.parquet"


def evaluation_in(folder: Path) -> Path:
    """Path of the evaluation data that `write_rows` wrote."""
    table = folder / f"{EVALUATION}.parquet"
    return table if table.exists() else folder / EVALUATION


def single_texts(rows: Dataset) -> list[str]:
    """Every distinct text of the rows, unchanged, for recipes that train on single texts."""
    from nearfar.data.items import item_columns

    if "text" in rows.column_names or medium_in(rows.column_names):
        return []
    names = item_columns(rows, negatives=True)
    return list(dict.fromkeys(text for texts in zip(*(rows[name][:] for name in names), strict=True) for text in texts))


def _prepared(
    training: Dataset, held_out: Dataset | Retrieval, task: str, leaks: Leaks, split: Split | None, dropped: int
) -> Prepared:
    hashes = (hash_of(training), hash_of(held_out))
    return Prepared(training, held_out, task, leaks, split, dropped, _knows(training, held_out, task), hashes)


def _knows(training: Dataset, held_out: Any, task: str) -> bool:
    if task != "classify" or not {"text", "label"} <= set(training.column_names):
        return False
    return set(map(str, held_out["label"])) <= set(map(str, training["label"]))
