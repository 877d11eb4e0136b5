"""`repair`: from rows with faults to rows without, and a list of every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.other_columns import other_columns
from nearfar.data.row_files import check_row_file, write_rows
from nearfar.errors import InputError
from nearfar.inspection.locating import RowPlaces
from nearfar.inspection.repair.faults import ACTIONS, Fault, RepairOptions
from nearfar.inspection.repair.judging import Counted
from nearfar.inspection.repair.kept_columns import json_values, parquet_schema, without_columns
from nearfar.inspection.repair.labels import faults_of_labels
from nearfar.inspection.repair.masks import Masks
from nearfar.inspection.repair.pairs import faults_of_pairs
from nearfar.inspection.vector_files import is_vectors
from nearfar.writing import file_claimed

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.inspection.repair.judging import Scorer

__all__ = ["Repaired", "changes_file", "check_repairable", "repair"]


@dataclass(frozen=True)
class Repaired:
    """What was repaired.

    Args:
        rows: Number of rows read.
        written: Number of rows written.
        changes: Number of changes by fault and action, such as `duplicates: drop`.
        kept: Number of faults by name that were found and kept, in rows that were written.
        judged: Number of pairs that the judge was asked to score.
        unanswered: How many of them it gave no score; it confirmed nothing about these.
        unchecked: Number of rows whose labels could not be checked, see `other_labels`.
    """

    rows: int
    written: int
    changes: dict[str, int]
    kept: dict[str, int]
    judged: int = 0
    unanswered: int = 0
    unchecked: int = 0

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return asdict(self)


def changes_file(out: str | Path) -> Path:
    """The file that lists every change, next to the output."""
    return Path(out).with_name(f"{Path(out).name}.changes.jsonl")


def check_repairable(
    model: object, data: str | Path | Dataset, *, columns: Mapping[str, str] | None = None, split: str | None = None
) -> None:
    """Check before the work that rows are of a kind that can be repaired, from the columns of their first file.

    Args:
        model, data, columns, split: As for `repair`.

    Raises:
        InputError: They are not, or cannot be read, or the model is a file of vectors.
    """
    from nearfar.data.readers import columns_of
    from nearfar.data.schemas import fitting

    if is_vectors(model):
        raise InputError("vectors cannot be used to repair rows", field="--fix", remedy="pass an encoder")
    names = columns_of(data, columns=columns, split=split or "train")
    schema = fitting(names, file=data if isinstance(data, (str, Path)) else None).name
    if schema not in ("pairs", "labelled"):
        remedy = "pass pairs, or texts with labels"
        raise InputError(f"expected rows that can be repaired, got {schema}", field="--fix", remedy=remedy)


def repair(
    model: SentenceTransformer | str | Path,
    data: str | Path | Dataset,
    out: str | Path,
    *,
    options: RepairOptions | None = None,
    judge: Scorer | None = None,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
) -> Repaired:
    """Write rows without their faults, and `OUT.changes.jsonl`: every removed or changed row, with the reason.

    All rows are compared with each other, in time quadratic in their number. Columns outside the schema are kept;
    a warning names those that the format of the file cannot represent.

    Args:
        model: An encoder of texts, or its name for `nearfar.models.load`.
        data: Pairs, with or without negatives, or labelled texts; or where to read them.
        out: The file to write, `.jsonl`, `.jsonl.gz` or `.parquet`.
        options: What is a fault, and what is done about it.
        judge: Must confirm what the encoder suspects; see `judging`. Duplicates need no judge.
        columns: Canonical column name -> name in the file.
        split: Split to read; `train` when None.

    Raises:
        InputError: The data or the model cannot be read, the rows are of another kind, or none remains.
    """
    from nearfar.data.readers import load
    from nearfar.models import load as load_encoder

    options = RepairOptions() if options is None else options
    out = Path(out)
    check_row_file(out, "--fix", others=[data])
    check_repairable(model, data, columns=columns, split=split)
    rows = load(data, columns=columns, split=split or "train")
    encoder: Any = load_encoder(model) if isinstance(model, (str, Path)) else model
    table, others = _table(rows), other_columns(data, columns=columns, split=split or "train")
    asked = None if judge is None else Counted(judge)
    unchecked = 0
    if "anchor" in rows.column_names:
        faults = faults_of_pairs(rows, encoder, options, asked)
    else:
        texts, labels = [row["text"] for row in table], [row["label"] for row in table]
        faults, unchecked = faults_of_labels(texts, labels, encoder, options, asked)
    place_of = RowPlaces(data, rows, split)
    actions = {name: options.action(name, judged=judge is not None) for name in ACTIONS}
    fixed, changes = _applied(table, faults, actions, options.seed, others)
    if not fixed:
        raise InputError("no row remains", field="--fix", remedy="see the other options, or keep some faults")
    with ExitStack() as stack:
        for path in (out, changes_file(out)):
            stack.enter_context(file_claimed(path, "--fix"))
        write_rows(({**place_of("row", row), **change} for row, change in changes), changes_file(out))
        _write(fixed, out)
    counts = Counter(f"{change['fault']}: {change['action']}" for _, change in changes)
    dropped = {row for row, change in changes if change["action"] == "drop"}
    kept = Counter(fault.name for fault in faults if actions[fault.name] == "keep" and fault.row not in dropped)
    return Repaired(
        len(table),
        len(fixed),
        dict(sorted(counts.items())),
        dict(sorted(kept.items())),
        0 if asked is None else asked.pairs,
        0 if asked is None else asked.unanswered,
        unchecked,
    )


def _table(rows: Dataset) -> list[dict[str, Any]]:
    """The rows, with the names of labels."""
    found: list[dict[str, Any]] = rows.to_list()
    names = getattr(rows.features.get("label"), "names", None)
    if names:
        for row in found:
            row["label"] = names[row["label"]]
    return found


def _write(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write the rows, without the columns that the format of the file cannot represent."""
    if out.name.endswith(".parquet"):
        schema, mixed = parquet_schema(rows)
        write_rows(without_columns(rows, mixed, out, "use .jsonl to keep them"), out, schema=schema)
        return
    # The columns of the schema are texts and labels, which JSON can represent.
    lost = sorted({name for row in rows for name in row.keys() - json_values(row).keys()})
    write_rows(without_columns(rows, lost, out, "use .parquet to keep them"), out)


def _applied(
    table: Sequence[dict[str, Any]],
    faults: Sequence[Fault],
    actions: Mapping[str, str],
    seed: int,
    others: Sequence[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], list[tuple[int, dict[str, Any]]]]:
    """The rows that remain, and for each change the row and what to say of it.

    Args:
        table: The columns of the schema.
        faults: What was found.
        actions: What is done about each.
        seed: Random seed of masks.
        others: The other columns, which remain as they are.
    """
    by_row: dict[int, list[Fault]] = {}
    for fault in faults:
        if actions[fault.name] != "keep":
            by_row.setdefault(fault.row, []).append(fault)
    masks = Masks(table, faults, seed)
    fixed: list[dict[str, Any]] = []
    changes: list[tuple[int, dict[str, Any]]] = []
    for number, row in enumerate(table):
        found = by_row.get(number, [])
        if dropping := [fault for fault in found if actions[fault.name] == "drop"]:
            before = {**row, **json_values(others[number])}
            changes.append((number, {**_described(dropping[0], "drop"), "before": before}))
            continue
        after, added = dict(row), []
        for fault in found:
            assert fault.column is not None  # whole rows are only dropped
            action = actions[fault.name]
            if fault.name == "wrong_labels":
                after[fault.column] = fault.value
            else:
                after[fault.column] = masks.draw(after)
            if action == "relabel" and fault.name == "false_negatives":
                added.append(row[fault.column])
            change = {"before": row[fault.column], "after": after[fault.column]}
            changes.append((number, {**_described(fault, action), **change}))
        after |= others[number]
        fixed += [after, *({**after, "positive": text} for text in added)]
    return fixed, changes


def _described(fault: Fault, action: str) -> dict[str, Any]:
    found = {"fault": fault.name, "action": action, "reason": fault.reason, "column": fault.column}
    scores = {"score": fault.score, "other_score": fault.other}
    return found | {name: value for name, value in scores.items() if value is not None}
