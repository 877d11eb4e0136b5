"""`repair`: from rows with faults to rows without, and a list of every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.data.row_files import check_row_file, write_rows
from nearfar.data.same_text import plain_text
from nearfar.errors import InputError
from nearfar.inspection.locating import RowPlaces
from nearfar.inspection.repair.faults import ACTIONS, Fault, RepairOptions
from nearfar.inspection.repair.labels import faults_of_labels
from nearfar.inspection.repair.pairs import faults_of_pairs
from nearfar.inspection.vector_files import is_vectors
from nearfar.writing import file_claimed

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.inspection.repair.judging import Scorer

__all__ = ["Repaired", "changes_file", "repair"]

# Draws after which no document to mask with is expected.
_TRIES = 1_000


@dataclass(frozen=True)
class Repaired:
    """What was repaired.

    Args:
        rows: Number of rows read.
        written: Number of rows written.
        changes: Number of changes by fault and action, such as `duplicates: drop`.
    """

    rows: int
    written: int
    changes: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return asdict(self)


def changes_file(out: str | Path) -> Path:
    """The file that lists every change, next to the output."""
    return Path(out).with_name(f"{Path(out).name}.changes.jsonl")


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

    All rows are compared with each other, in time quadratic in their number.

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
    from nearfar.data.schemas import fitting
    from nearfar.models import load as load_encoder

    options = RepairOptions() if options is None else options
    out = Path(out)
    check_row_file(out, "--fix", others=[data])
    if is_vectors(model):
        raise InputError("vectors cannot be used to repair rows", field="--fix", remedy="pass an encoder")
    rows = load(data, columns=columns, split=split or "train")
    schema = fitting(rows.column_names).name
    if schema not in ("pairs", "labelled"):
        remedy = "pass pairs, or texts with labels"
        raise InputError(f"expected rows that can be repaired, got {schema}", field="--fix", remedy=remedy)
    encoder: Any = load_encoder(model) if isinstance(model, (str, Path)) else model
    table = _table(rows)
    if schema == "pairs":
        faults = faults_of_pairs(rows, encoder, options, judge)
    else:
        texts, labels = [row["text"] for row in table], [row["label"] for row in table]
        faults = faults_of_labels(texts, labels, encoder, options, judge)
    place_of = RowPlaces(data, rows, split)
    actions = {name: options.action(name, judged=judge is not None) for name in ACTIONS}
    fixed, changes = _applied(table, faults, actions, options.seed)
    if not fixed:
        raise InputError("no row remains", field="--fix", remedy="see the other options, or keep some faults")
    with ExitStack() as stack:
        for path in (out, changes_file(out)):
            stack.enter_context(file_claimed(path, "--fix"))
        write_rows(({**place_of("row", row), **change} for row, change in changes), changes_file(out))
        write_rows(fixed, out)
    counts = Counter(f"{change['fault']}: {change['action']}" for _, change in changes)
    return Repaired(len(table), len(fixed), dict(sorted(counts.items())))


def _table(rows: Dataset) -> list[dict[str, Any]]:
    """The rows, with the names of labels."""
    found: list[dict[str, Any]] = rows.to_list()
    names = getattr(rows.features.get("label"), "names", None)
    if names:
        for row in found:
            row["label"] = names[row["label"]]
    return found


def _applied(
    table: Sequence[dict[str, Any]], faults: Sequence[Fault], actions: Mapping[str, str], seed: int
) -> tuple[list[dict[str, Any]], list[tuple[int, dict[str, Any]]]]:
    """The rows that remain, and for each change the row and what to say of it."""
    by_row: dict[int, list[Fault]] = {}
    for fault in faults:
        if actions[fault.name] != "keep":
            by_row.setdefault(fault.row, []).append(fault)
    masks = _Masks(table, faults, seed)
    fixed: list[dict[str, Any]] = []
    changes: list[tuple[int, dict[str, Any]]] = []
    for number, row in enumerate(table):
        found = by_row.get(number, [])
        if dropping := [fault for fault in found if actions[fault.name] == "drop"]:
            changes.append((number, {**_described(dropping[0], "drop"), "before": row}))
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
        fixed += [after, *({**after, "positive": text} for text in added)]
    return fixed, changes


def _described(fault: Fault, action: str) -> dict[str, Any]:
    found = {"fault": fault.name, "action": action, "reason": fault.reason, "column": fault.column}
    scores = {"score": fault.score, "other_score": fault.other}
    return found | {name: value for name, value in scores.items() if value is not None}


class _Masks:
    """Draws documents in place of false negatives: positives of other anchors."""

    def __init__(self, table: Sequence[Mapping[str, Any]], faults: Sequence[Fault], seed: int) -> None:
        self._table, self._rng = table, np.random.default_rng(seed)
        self._matching: dict[str, set[str]] = {}
        for row in table:
            if "anchor" in row:
                self._matching.setdefault(plain_text(row["anchor"]), set()).add(plain_text(row["positive"]))
        # What was found to match an anchor must not be drawn for it again, in this row or another.
        for fault in faults:
            if fault.name == "false_negatives":
                row = table[fault.row]
                self._matching[plain_text(row["anchor"])].add(plain_text(row[str(fault.column)]))

    def draw(self, row: Mapping[str, Any]) -> str:
        """A document that does not match the row's anchor and is not in the row.

        Raises:
            InputError: None was found.
        """
        refused = self._matching[plain_text(row["anchor"])] | {plain_text(text) for text in row.values()}
        for _ in range(_TRIES):
            text = self._table[int(self._rng.integers(len(self._table)))]["positive"]
            if plain_text(text) not in refused:
                return text
        remedy = "drop them: --fix-action false_negatives=drop"
        raise InputError("too few different positives to mask false negatives", field="--fix", remedy=remedy)
