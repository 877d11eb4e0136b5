"""Encodes texts, images and audio into files that may be larger than memory, in windows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.streams import TextStream
from nearfar.errors import InputError
from nearfar.models.abilities import Encodes
from nearfar.models.encoding import Kind, check_batch_size, check_texts, encode
from nearfar.models.fingerprint import fingerprint
from nearfar.models.prompts import prompt_of
from nearfar.writing import check_writable, draft_of, file_claimed

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

    from nearfar.models.stored_arrays import StoredArrays

Progress = Callable[[int, int], None]

# Texts are sorted by length within a window of this many batches: enough for little padding, but few enough for little
# memory and a progress bar that moves.
_BATCHES_A_WINDOW = 32


def encode_file(
    model: SentenceTransformer | Encodes,
    texts: Sequence[str] | Dataset | TextStream,
    out_path: str | Path,
    *,
    column: str = "text",
    batch_size: int = 64,
    max_length: int | None = None,
    normalize: bool = True,
    kind: Kind | None = None,
    prompt: str | None = None,
    progress: Progress | None = None,
    stored: StoredArrays | None = None,
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
        batch_size: Batch size.
        max_length: Maximum sequence length in tokens (longer texts are truncated); by default the model's own.
        normalize: Whether to normalise the vectors to length 1.
        kind: Whether the texts are queries or documents, for models with different prompts for these.
        prompt: What to put before each text; by default the model's own prompt.
        progress: Called with (texts done, number of texts) after each window; the number is 0 where it is not known.
        stored: Where the vectors of each window are stored, so that an interrupted command is resumed; the model is
            then a SentenceTransformer.

    Returns:
        The shape of the matrix, (texts, dimensions).

    Raises:
        InputError: The suffix is unknown, there are no texts, a row is not text, or the model returns NaN or infinity.
    """
    path = Path(out_path)
    check_target(path)
    write = _WRITERS[path.suffix.lower()]
    options: dict[str, Any] = {"batch_size": batch_size, "max_length": max_length, "normalize": normalize}
    options |= {"kind": kind, "prompt": prompt}
    windows = encode_windows(model, texts, column=column, progress=progress, stored=stored, **options)
    facts: dict[str, Any] = {"normalize": normalize}
    if column == "text":
        facts |= {"as": kind, "prompt": prompt_of(model, kind) if prompt is None else prompt}
    with file_claimed(path), draft_of(path) as unfinished:
        return write(unfinished, windows, column, facts)


def check_target(path: str | Path) -> None:
    """Check before encoding that `encode_file` can write to `path`.

    Raises:
        InputError: The suffix is unknown, the path is a folder, or it is not writable.
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
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
    batch_size: int = 64,
    max_length: int | None = None,
    normalize: bool = True,
    kind: Kind | None = None,
    prompt: str | None = None,
    progress: Progress | None = None,
    stored: StoredArrays | None = None,
) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
    """Yield texts and their vectors in windows; the options are those of `encode_file`.

    With `stored`, the vectors of each window of texts are stored, and read again after an interruption; the model is
    then a SentenceTransformer.
    """
    check_batch_size(batch_size)
    if not isinstance(texts, TextStream) and len(texts) == 0:
        raise InputError("expected at least one text, got none", remedy="pass at least one row")
    names = getattr(texts, "column_names", None)
    if names is not None and column not in names:
        problem = f"expected a column {column!r}, got {', '.join(names)}"
        raise InputError(problem, remedy=f"map one: --columns {column}=NAME")
    if column != "text":
        return _media_windows(model, texts, column, batch_size, normalize, progress)

    options: dict[str, Any] = {
        "batch_size": batch_size,
        "max_length": max_length,
        "normalize": normalize,
        "kind": kind,
        "prompt": prompt,
    }
    of = () if stored is None else (fingerprint(model), *options.values())  # pyright: ignore[reportArgumentType]

    def walk() -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
        done, total = 0, 0 if isinstance(texts, TextStream) else len(texts)
        for window in _windows(texts, _BATCHES_A_WINDOW * batch_size):
            check_texts(window, first_row=done + 1)
            make = partial(encode, model, window, **options)
            yield window, make() if stored is None else stored.get((*of, *window), make, rows=len(window))
            done += len(window)
            if progress is not None:
                progress(done, total)

    # An inner generator, so that the checks above run at the call and not at the first window.
    return walk()


def _windows(texts: Any, size: int) -> Iterator[list[str]]:
    """The texts in lists of a size; the last one may be shorter."""
    if isinstance(texts, TextStream):
        yield from texts.windows(size)
        return
    rows_are_texts = getattr(texts, "column_names", None) is None
    for start in range(0, len(texts), size):
        rows = texts[start : start + size]
        yield list(rows if rows_are_texts else rows["text"])


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


def _write_npy(
    file: Path, windows: Iterator[tuple[list[str], Any]], column: str, facts: Mapping[str, Any]
) -> tuple[int, int]:
    import numpy as np

    count, dimension = 0, 0
    with open(file, "wb") as stream:

        def write_header() -> None:
            # The library leaves room in the header for any number of rows.
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, dimension)}
            np.lib.format.write_array_header_1_0(stream, header)

        for _, vectors in windows:
            if not dimension:
                dimension = vectors.shape[1]
                write_header()
            # Append instead of a writable memory map, whose pages use this process's memory until they are flushed.
            stream.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            count += len(vectors)
        stream.seek(0)
        write_header()
    return count, dimension


def _write_parquet(
    file: Path, windows: Iterator[tuple[list[str], Any]], column: str, facts: Mapping[str, Any]
) -> tuple[int, int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, count, dimension = None, 0, 0
    try:
        for texts, vectors in windows:
            dimension = vectors.shape[1]
            lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1), pa.float32()), dimension)
            table = pa.table({column: pa.array(texts, pa.string()), "vector": lists})
            table = table.replace_schema_metadata({"nearfar": json.dumps(facts, ensure_ascii=False)})
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table, row_group_size=len(texts))
            count += len(texts)
    finally:
        if writer is not None:
            writer.close()
    return count, dimension


_WRITERS = {".npy": _write_npy, ".parquet": _write_parquet}
