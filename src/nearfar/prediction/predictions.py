"""Predicts labels: the most probable ones of each item, in memory or into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.errors import InputError
from nearfar.models.encoding import check_texts
from nearfar.prediction.labeller import Calibration, Labeller, check_options, labeller
from nearfar.writing import check_writable, file_claimed

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data.media import Medium

__all__ = ["check_target", "predict", "predict_file"]

Progress = Callable[[int, int], None]

#: Batches that are encoded together, sorted by length.
_BATCHES = 32
#: Probabilities in memory at a time.
_CELLS = 1 << 22


def predict(
    model: Any,
    items: str | Path | Sequence[Any] | Dataset,
    labels: Sequence[str] | None = None,
    *,
    top: int = 5,
    calibrate: Calibration = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """The most probable labels of each text, image or audio file.

    Args:
        model: A model that matches texts with labels (`cless`) or a classifier (`coconut`), or its name.
        items: Texts, or files for a classifier of images or audio; rows with a column `text`, `image` or `audio`; or
            the source of such rows.
        labels: Any label texts, also ones that the model was not trained with; None for a classifier, which predicts
            its own labels.
        top: Maximum number of labels for each item.
        calibrate: The scores of a model that matches labels do not contain how frequent a label is, so that a rare
            label can have a higher score than a more probable one. `"training"` adds the frequencies of its training,
            a mapping from label to number of texts those of other texts: the result is the probability that a text
            has the label. A label that is not counted is as frequent as one that was counted once.
        batch_size: Batch size.
        progress: Called with (items done, number of items).

    Returns:
        For each item a dictionary with the item (`text`, `image` or `audio`), `labels`, the most probable first, and
        their `probabilities`. Those of a classifier sum to 1 over its labels; otherwise each label is on its own.

    Raises:
        InputError: The model gives no probabilities of labels, an option does not fit it, or an item is invalid.

    Example:
        >>> nearfar.predict("runs/cless/model", ["where is my parcel"], ["delivery", "payment"])  # doctest: +SKIP
        [{'text': 'where is my parcel', 'labels': ['delivery', 'payment'], 'probabilities': [0.97, 0.02]}]
    """
    from nearfar.kinds.loading import class_of, load_kind, of

    kind = class_of(model) if isinstance(model, (str, Path)) else of(model)
    check_options(kind, labels=labels is not None, calibrate=calibrate is not None, top=top)
    loaded = load_kind(model) if isinstance(model, (str, Path)) else kind
    how = labeller(loaded, labels, calibrate, batch_size=batch_size)
    if isinstance(items, (str, Path)):
        from nearfar.data.encodable import load_encodable

        items = load_encodable(items, how.medium or "text")[0]
    return list(_predictions(how, items, top, progress))


def predict_file(
    how: Labeller, rows: Dataset, out: str | Path, *, top: int = 5, progress: Progress | None = None
) -> int:
    """Write what `predict` returns to a file of JSON lines, with a part of the rows in memory at a time.

    The file gets its name only when it is complete. An existing file is replaced.

    Args:
        how: The result of `labeller`.
        rows: Rows with a column `text`, `image` or `audio`.
        out: The file, `.jsonl` or `.jsonl.gz`.
        top: Maximum number of labels for each row.
        progress: Called with (rows done, number of rows).

    Returns:
        The number of rows.

    Raises:
        InputError: As for `predict`; or the file cannot be written.
    """
    from nearfar.data import write_jsonl

    check_target(out)
    with file_claimed(out):
        return write_jsonl(_predictions(how, rows, top, progress), out)


def check_target(path: str | Path) -> None:
    """Check before any work that `predict_file` can write to `path`.

    Raises:
        InputError: The suffix is unknown, the path is a folder, or it is not writable.
    """
    path = Path(path)
    if not path.name.lower().endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"unknown suffix {path.suffix!r}", file=path, field="--out", remedy="use .jsonl or .jsonl.gz")
    if path.is_dir():
        raise InputError("expected a file name, got a folder", file=path, field="--out", remedy="name a file")
    check_writable(path.absolute().parent)


def _predictions(how: Labeller, items: Any, top: int, progress: Progress | None) -> Iterator[dict[str, Any]]:
    column = how.medium or "text"
    if not len(items):
        raise InputError("expected at least one row, got none", field=column, remedy="pass at least one row")
    # An image or audio file in memory is many times a text.
    step = max(1, min(how.batch_size * (_BATCHES if how.medium is None else 1), _CELLS // len(how.labels)))
    read = _reader(items, column, how.medium)
    for start in range(0, len(items), step):
        part = read(start, start + step)
        if how.medium is None:
            check_texts(part, first_row=start + 1)
        found = np.asarray(how.probabilities(part), dtype=np.float64)
        _check_finite(found, start)
        for row, (item, probabilities) in enumerate(zip(part, found, strict=True), start + 1):
            chosen = np.argsort(-probabilities, kind="stable")[:top].tolist()
            yield {
                column: item if how.medium is None else _path(item, row),
                "labels": [how.labels[place] for place in chosen],
                # Six digits, as the scores are float32.
                "probabilities": [float(f"{probabilities[place]:.6g}") for place in chosen],
            }
        if progress is not None:
            progress(min(start + step, len(items)), len(items))


def _reader(items: Any, column: str, medium: Medium | None) -> Callable[[int, int], list[Any]]:
    """A function that returns the items from one row to another."""
    names = getattr(items, "column_names", None)
    if names is None:
        return lambda start, end: list(items[start:end])
    if column not in names:
        problem = f"expected a column {column!r}, got {', '.join(names)}"
        raise InputError(problem, remedy=f"map one: --columns {column}=NAME, or use another model")
    if medium is not None:
        from nearfar.data.media import undecoded

        items = undecoded(items, medium)
    return lambda start, end: list(items[start:end][column])


def _path(file: Any, row: int) -> str:
    """The path of an image or audio file; a Hub file without a path is named by its row."""
    return file if isinstance(file, str) else (file.get("path") if isinstance(file, dict) else None) or f"row {row}"


def _check_finite(found: np.ndarray, start: int) -> None:
    broken = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(broken):
        problem = f"the model's probabilities contain NaN for {len(broken)} rows, the first of them row"
        raise InputError(
            f"{problem} {start + int(broken[0]) + 1}", field="model", remedy="the training diverged: train it again"
        )
