"""Files of vectors of texts, images and audio, which may be larger than memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.streams import TextStream
from nearfar.errors import InputError
from nearfar.models.abilities import Encodes
from nearfar.models.encoding import TextOptions
from nearfar.models.encoding_windows import EncodeWindows, Progress, encode_windows
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


def encode_file(
    model: SentenceTransformer | Encodes,
    texts: Sequence[str] | Dataset | TextStream,
    out_path: str | Path,
    *,
    column: str = "text",
    encode: EncodeWindows = encode_windows,
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
        encode: What encodes the windows: this process, or the workers of `nearfar.encoding.OnRay`.
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
    windows = encode(model, texts, column=column, progress=progress, stored=stored, **options)
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
