"""Vectors of documents that exist already, for an index: `nearfar encode` wrote them, perhaps in shards or on Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.streams import TextStream
from nearfar.errors import InputError
from nearfar.models.encoding import encode
from nearfar.models.encoding_windows import Progress, text_windows, window_size
from nearfar.models.vector_files import read_vector_windows

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

#: Greatest distance between the file's vector of a text and the model's, relative to the length of the latter: room for
#: half precision, but not for another model, prompt or text.
_TOLERANCE = 0.02


def given_windows(
    model: SentenceTransformer,
    texts: Sequence[str] | Dataset | TextStream,
    file: str | Path,
    *,
    normalize: bool,
    progress: Progress | None = None,
) -> Iterator[tuple[list[str], Float[np.ndarray, "window d"]]]:
    """Yield texts and their vectors in windows, from a file whose row i belongs to text i.

    The first text of each window is encoded as a document, and compared with the file's vector.

    Args:
        model: The encoder of the index.
        texts: The documents.
        file: `.npy` or `.parquet`, as `nearfar encode --as document` writes it.
        normalize: Whether the vectors must have length 1.
        progress: Called with (texts done, number of texts), which is 0 for a stream.

    Raises:
        InputError: The file is not a file of vectors, or has other vectors than the model gives these texts.
    """
    size = window_size()
    total = 0 if isinstance(texts, TextStream) else len(texts)
    file = Path(file).expanduser()
    blocks = read_vector_windows(file, size)

    def walk() -> Iterator[tuple[list[str], Any]]:
        done = 0
        for window in text_windows(texts, size):
            vectors: Any = next(blocks, ())
            if len(vectors) != len(window):
                raise _number_differs(file)
            _compare(encode(model, window[:1], kind="document", normalize=normalize)[0], vectors[0], file, done + 1)
            yield window, vectors
            done += len(window)
            if progress is not None:
                progress(done, total)
        if not done:
            raise InputError("expected at least one text, got none", remedy="pass at least one row")
        if next(blocks, None) is not None:
            raise _number_differs(file)

    return walk()


def _compare(right: Any, given: Any, file: Path, row: int) -> None:
    import numpy as np

    if right.shape != given.shape or not np.linalg.norm(right - given) <= _TOLERANCE * np.linalg.norm(right):
        problem = f"row {row:,}: expected the model's vector of this document, got another one"
        raise InputError(problem, file=file, field="--vectors", remedy="write it with nearfar encode --as document")


def _number_differs(file: Path) -> InputError:
    problem = "expected one vector for each document, got another number"
    return InputError(problem, file=file, field="--vectors", remedy="pass the corpus that they were made from")
