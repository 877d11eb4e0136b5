"""Encodes texts, images and audio in windows, so that a corpus may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nearfar.data.streams import TextStream
from nearfar.errors import InputError
from nearfar.models.abilities import Encodes
from nearfar.models.encoding import BATCH_SIZE, Kind, TextOptions, check_batch_size, check_texts, encode
from nearfar.models.fingerprint import fingerprint

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer
    from typing_extensions import Unpack

    from nearfar.models.stored_arrays import StoredArrays

Progress = Callable[[int, int], None]

# Texts are sorted by length within a window of this many batches: enough for little padding, but few enough for little
# memory and a progress bar that moves.
_BATCHES_A_WINDOW = 32


class EncodeWindows(Protocol):
    """What encodes texts in windows: `encode_windows` in this process, or a function that takes its place."""

    def __call__(
        self,
        model: Any,
        texts: Sequence[str] | Dataset | TextStream,
        *,
        column: str = "text",
        size: int | None = None,
        progress: Progress | None = None,
        stored: StoredArrays | None = None,
        **options: Unpack[TextOptions],
    ) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
        """Yield texts and their vectors in windows, see `encode_windows`."""
        ...


class EncodingOf(Protocol):
    """Chooses what encodes the texts for a model, by the arguments that it was loaded with."""

    def __call__(
        self, name: str | Path | None, *, view: str | None = None, max_length: int | None = None
    ) -> EncodeWindows:
        """Return it; the name is None for a model that was not loaded by a name."""
        ...


def in_this_process(
    name: str | Path | None, *, view: str | None = None, max_length: int | None = None
) -> EncodeWindows:
    """`encode_windows`, which uses a model as it is in memory, for every model."""
    return encode_windows


def encode_windows(
    model: SentenceTransformer | Encodes,
    texts: Sequence[str] | Dataset | TextStream,
    *,
    column: str = "text",
    size: int | None = None,
    progress: Progress | None = None,
    stored: StoredArrays | None = None,
    **options: Unpack[TextOptions],
) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
    """Yield texts and their vectors in windows; the options are those of `encode_file`, and:

    Args:
        model: The encoder.
        texts: See `encode_file`.
        column: See `encode_file`.
        size: Number of texts of a window, which are sorted by length together; by default that of `window_size`.
        progress: See `encode_file`.
        stored: The vectors of each window of texts are stored, and read again after an interruption; the model is then
            a SentenceTransformer.
        **options: See `encode_file`.
    """
    if column == "text":
        return encode_text_windows(model, texts, size=size, progress=progress, stored=stored, **options)
    _check_rows(texts, column, options)
    batch_size, normalize = options.get("batch_size", BATCH_SIZE), options.get("normalize", True)
    return _media_windows(model, texts, column, batch_size, normalize, progress)


def encode_text_windows(
    model: SentenceTransformer | Encodes,
    texts: Sequence[str] | Dataset | TextStream,
    *,
    size: int | None = None,
    progress: Progress | None = None,
    stored: StoredArrays | None = None,
    part: range | None = None,
    make: Callable[[int, list[str]], np.ndarray] | None = None,
    **options: Unpack[TextOptions],
) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
    """Yield some texts and their vectors in windows, as `encode_windows` does.

    Args:
        model: The encoder.
        texts: See `encode_file`.
        size: See `encode_windows`.
        progress: See `encode_file`.
        stored: See `encode_windows`.
        part: Numbers of the windows of texts to encode, see `window_size`; by default all.
        make: Returns the vectors of a window of texts, from its number and texts; by default the model encodes them in
            this process. Called in the order of the windows, for those that are not stored.
        **options: See `encode_file`.
    """
    _check_rows(texts, "text", options)
    of = () if stored is None else made_from(model, **options)
    length = window_size(options.get("batch_size", BATCH_SIZE)) if size is None else size

    def computed(number: int, window: list[str]) -> np.ndarray:
        return encode(model, window, **options) if make is None else make(number, window)

    def walk() -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
        first = 0 if part is None else part.start
        done, total = 0, 0 if isinstance(texts, TextStream) else len(texts)
        if part is not None and total:
            total = min(part.stop * length, total) - first * length
        for number, window in enumerate(text_windows(texts, length, part), first):
            check_texts(window, first_row=number * length + 1)
            compute = partial(computed, number, window)
            yield window, compute() if stored is None else stored.get((*of, *window), compute, rows=len(window))
            done += len(window)
            if progress is not None:
                progress(done, total)

    # An inner generator, so that the checks above run at the call and not at the first window.
    return walk()


def made_from(
    model: Any,
    *,
    batch_size: int = BATCH_SIZE,
    max_length: int | None = None,
    normalize: bool = True,
    kind: Kind | None = None,
    prompt: str | None = None,
) -> tuple[object, ...]:
    """What stored vectors depend on besides their texts, which follow it in the key of a window."""
    return (fingerprint(model), batch_size, max_length, normalize, kind, prompt)


def window_size(batch_size: int = BATCH_SIZE) -> int:
    """Number of texts that are sorted by length together. Vectors do not depend on texts of other windows."""
    return _BATCHES_A_WINDOW * batch_size


def text_windows(
    texts: Sequence[str] | Dataset | TextStream, size: int, part: range | None = None
) -> Iterator[list[str]]:
    """The texts in lists of a size; the last one may be shorter. `part` contains the numbers of those to yield."""
    if isinstance(texts, TextStream):
        yield from texts.windows(size) if part is None else islice(texts.windows(size), part.start, part.stop)
        return
    rows_are_texts = getattr(texts, "column_names", None) is None
    first, last = (0, len(texts)) if part is None else (part.start * size, min(part.stop * size, len(texts)))
    for start in range(first, last, size):
        rows: Any = texts[start : start + size]
        yield list(rows if rows_are_texts else rows["text"])


def _check_rows(texts: Sequence[str] | Dataset | TextStream, column: str, options: TextOptions) -> None:
    """Raise an InputError if there are no rows, or none of this column, or if the batch size is invalid."""
    check_batch_size(options.get("batch_size", BATCH_SIZE))
    if not isinstance(texts, TextStream) and len(texts) == 0:
        raise InputError("expected at least one text, got none", remedy="pass at least one row")
    names = getattr(texts, "column_names", None)
    if names is not None and column not in names:
        problem = f"expected a column {column!r}, got {', '.join(names)}"
        raise InputError(problem, remedy=f"map one: --columns {column}=NAME")


def _media_windows(
    model: SentenceTransformer | Encodes,
    rows: Any,
    column: str,
    batch_size: int,
    normalize: bool,
    progress: Progress | None,
) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
    """Paths of files and their vectors; a Hub file without a path is named by its row."""
    from nearfar.data.media import Medium, undecoded
    from nearfar.models.towers.reading import check_medium, encode_media

    medium: Medium = "image" if column == "image" else "audio"
    check_medium(model, medium)
    files = undecoded(rows, medium)[medium]

    def walk() -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
        for start in range(0, len(rows), batch_size):
            window = files[start : start + batch_size]
            paths = [each if isinstance(each, str) else each.get("path") for each in window]
            names = [path or f"row {row}" for row, path in enumerate(paths, start + 1)]
            yield names, encode_media(model, window, medium, batch_size=batch_size, normalize=normalize)
            if progress is not None:
                progress(start + len(window), len(rows))

    return walk()
