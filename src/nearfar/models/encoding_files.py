"""Encodes texts, images and audio into files that may be larger than memory, in windows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nearfar.data.streams import TextStream
from nearfar.errors import InputError
from nearfar.models.abilities import Encodes
from nearfar.models.encoding import BATCH_SIZE, Kind, TextOptions, check_batch_size, check_texts, encode
from nearfar.models.fingerprint import fingerprint
from nearfar.models.prompts import prompt_of
from nearfar.models.vector_files import WRITERS
from nearfar.writing import check_writable, draft_of, file_claimed

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


def encode_file(
    model: SentenceTransformer | Encodes,
    texts: Sequence[str] | Dataset | TextStream,
    out_path: str | Path,
    *,
    column: str = "text",
    encode: EncodeWindows | None = None,
    progress: Progress | None = None,
    stored: StoredArrays | None = None,
    **options: Unpack[TextOptions],
) -> tuple[int, int]:
    """Write the vectors of many texts or files to a file, in their order, with one window in memory at a time.

    `.npy` files contain a float32 matrix, row i for text i. `.parquet` files contain a column `text` (or `image`,
    `audio`: the path) and a column `vector` of fixed-size float32 lists, with one row group per window; the metadata of
    its schema (`nearfar`, JSON) contains `as`, `prompt` and `normalize`. The file gets its name when it is complete.

    Args:
        model: The encoder, see `nearfar.models.encoding.encode`.
        texts: A sequence of texts, a dataset with the column, or texts that are read once.
        column: `text`, or `image` or `audio` for files that the model's other tower encodes.
        out_path: The file to write; its suffix decides the format. An existing file is replaced.
        encode: What encodes the windows; by default `encode_windows`, in this process.
        progress: Called with (texts done, number of texts) after each window; the number is 0 where it is not known.
        stored: Where the vectors of each window are stored, so that an interrupted command is resumed; the model is
            then a SentenceTransformer.
        **options: Those of `nearfar.models.encoding.encode`: `batch_size`, `max_length`, `normalize`, `kind`, `prompt`.

    Returns:
        The shape of the matrix, (texts, dimensions).

    Raises:
        InputError: The suffix is unknown, there are no texts, a row is not text, or the model returns NaN or infinity.
    """
    check_target(out_path)
    make = encode or encode_windows
    windows = make(model, texts, column=column, progress=progress, stored=stored, **options)
    return write_windows(out_path, windows, column, file_facts(model, options, column))


def file_facts(model: SentenceTransformer | Encodes, options: TextOptions, column: str = "text") -> dict[str, Any]:
    """The metadata of a `.parquet` file of vectors."""
    of_texts = text_facts(model, options) if column == "text" else {}
    return {"normalize": options.get("normalize", True), **of_texts}


def text_facts(model: SentenceTransformer | Encodes, options: TextOptions) -> dict[str, Any]:
    """The side and the prompt of encoded texts."""
    kind, prompt = options.get("kind"), options.get("prompt")
    return {"as": kind, "prompt": prompt_of(model, kind) if prompt is None else prompt}


def write_windows(
    out_path: str | Path,
    windows: Iterator[tuple[list[str], Float[np.ndarray, "window d"]]],
    column: str,
    facts: Mapping[str, Any],
) -> tuple[int, int]:
    """Write texts and their vectors to a file in the format of `encode_file`; it gets its name when it is complete.

    Returns:
        The shape of the matrix, (texts, dimensions).
    """
    path = Path(out_path)
    with file_claimed(path), draft_of(path) as unfinished:
        return WRITERS[path.suffix.lower()](unfinished, windows, column, facts)


def check_target(path: str | Path) -> None:
    """Check before encoding that `encode_file` can write to `path`.

    Raises:
        InputError: The suffix is unknown, the path is a folder, or it is not writable.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise InputError(f"unknown suffix {path.suffix!r}", file=path, remedy="use .npy or .parquet")
    if path.is_dir():
        raise InputError("expected a file name, got a folder", file=path, remedy="pass the name of a file")
    check_writable(path.absolute().parent)


@contextmanager
def stored_beside(out: str | Path, model: Any) -> Iterator[StoredArrays | None]:
    """A folder beside an output file for the vectors of an interrupted command; removed when the file is complete.

    None for a model that is not a SentenceTransformer, whose vectors are computed again.
    """
    from nearfar.models.stored_arrays import StoredArrays

    if isinstance(model, Encodes):
        yield None
        return
    stored = StoredArrays(Path(out).with_name(f".{Path(out).name}.vectors"))
    yield stored
    shutil.rmtree(stored.folder, ignore_errors=True)


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
