"""Building an index. Readers see the old index or the new one, never a partial one."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.errors import InputError
from nearfar.models.encoding_files import Progress, encode_windows
from nearfar.search.index import TEXTS, VECTORS, SearchIndex, mapped
from nearfar.search.metadata import (
    METADATA,
    IndexMetadata,
    corpus_fingerprint,
    named,
    read_metadata,
    stale,
    write_metadata,
)
from nearfar.writing import check_writable

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

# Similarity of the model -> metric of usearch.
_METRICS = {"cosine": "cos", "dot": "ip"}


def build_index(
    model: SentenceTransformer | str | Path,
    texts: Sequence[str] | Dataset,
    folder: str | Path,
    *,
    ids: Sequence[str] | None = None,
    corpus: str | Path | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> SearchIndex:
    """Encode a corpus and write its index. The folder appears, or is replaced, only when the index is complete.

    Args:
        model: An encoder, or a name for `nearfar.models.load`; `open_index` can load the model only if it has a name.
        texts: The documents: a sequence, or a dataset with a column `text`.
        folder: A new or empty folder, or an existing index.
        ids: The ids of the documents; row numbers from 1 when None.
        corpus: The file the texts were read from, stored to detect changes.
        batch_size: Texts per forward pass.
        progress: Called with (texts done, total).

    Raises:
        InputError: No texts, a number of ids other than that of texts, a folder with other contents, or a model whose
            similarity is neither cosine nor dot product.
    """
    source = _Source(corpus, corpus_fingerprint(corpus), None)
    return _build(*named(model), texts, Path(folder), ids, source, batch_size, progress)


def open_or_build(
    model: SentenceTransformer | str | Path,
    corpus: str | Path,
    read: Callable[[], tuple[Sequence[str] | None, Sequence[str] | Dataset]],
    folder: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> SearchIndex:
    """Open the index of a corpus file; build it first if it does not exist or is stale.

    Args:
        model: An encoder, or a name for `nearfar.models.load`.
        corpus: The corpus file.
        read: Returns ids (None for row numbers) and texts. Called only to build the index.
        folder: The folder of the index.
        columns: The mapping that `read` applies; an index of other columns is stale.
        batch_size: Texts per forward pass.
        progress: Called with (texts done, total) while building.

    Returns:
        The index. Its `built` is the reason why it was built, None if it existed.
    """
    folder = Path(folder)
    _tidy(folder)
    # Computed before the corpus is read, so that an index of a corpus that changes meanwhile is stale.
    source = _Source(corpus, corpus_fingerprint(corpus), dict(columns) if columns else None)
    name, loaded = named(model)
    reason = "new"
    if (folder / METADATA).is_file():
        try:
            metadata = read_metadata(folder)
            changed = stale(metadata, loaded, source.fingerprint)
            if changed is None and metadata.columns != source.columns:
                changed = "built with other columns"
            if changed is None:
                return mapped(folder, metadata, loaded)
            reason = changed
        except InputError as error:
            reason = error.problem
    ids, texts = read()
    index = _build(name, loaded, texts, folder, ids, source, batch_size, progress)
    index.built = reason
    return index


class _Source(NamedTuple):
    """The corpus file, its fingerprint, and the mapping of its columns; all None for texts without a file."""

    file: str | Path | None
    fingerprint: str | None
    columns: dict[str, str] | None


def _build(
    name: str | None,
    model: SentenceTransformer,
    texts: Sequence[str] | Dataset,
    folder: Path,
    ids: Sequence[str] | None,
    source: _Source,
    batch_size: int,
    progress: Progress | None,
) -> SearchIndex:
    from nearfar.models import fingerprint

    _tidy(folder)
    _check_target(folder)
    if ids is not None and len(ids) != len(texts):
        raise InputError(f"expected one id per text, got {len(ids)} ids for {len(texts)} texts", field="ids")
    similarity = model.similarity_fn_name
    if similarity not in _METRICS:
        raise InputError(f"unsupported similarity {similarity}: must be cosine or dot product")
    windows = encode_windows(
        model, texts, batch_size=batch_size, normalize=similarity == "cosine", kind="document", progress=progress
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        count, dimension = _write(unfinished, windows, ids, _METRICS[similarity])
        metadata = IndexMetadata(
            format=1,
            model=name,
            model_fingerprint=fingerprint(model),
            corpus=None if source.file is None else str(Path(source.file).resolve()),
            corpus_fingerprint=source.fingerprint,
            columns=source.columns,
            similarity=similarity,
            dimension=dimension,
            count=count,
        )
        write_metadata(unfinished / METADATA, metadata)
        _replace_folder(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    index = mapped(folder, metadata, model)
    index.built = "new"
    return index


def _write(folder: Path, windows: Any, ids: Sequence[str] | None, metric: str) -> tuple[int, int]:
    import numpy as np
    import pyarrow as pa
    from usearch.index import Index as Vectors

    schema = pa.schema({"id": pa.string(), "text": pa.string()})
    vectors: Vectors | None = None
    count = 0
    with pa.OSFile(str(folder / TEXTS), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for texts, block in windows:
            if vectors is None:
                vectors = Vectors(ndim=block.shape[1], metric=metric, dtype="f32")
            rows = range(count, count + len(texts))
            names = [str(row + 1) if ids is None else str(ids[row]) for row in rows]
            writer.write_batch(pa.record_batch([pa.array(names), pa.array(texts)], schema=schema))
            vectors.add(np.arange(rows.start, rows.stop, dtype=np.uint64), block)
            count = rows.stop
    assert vectors is not None  # encode_windows refuses an empty corpus
    vectors.save(folder / VECTORS)
    return count, int(vectors.ndim)


def _check_target(folder: Path) -> None:
    if folder.is_file():
        raise InputError("expected a folder, got a file", file=folder, remedy="choose another name")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / METADATA).is_file():
        raise InputError("already contains other files", file=folder, remedy="choose an empty or new folder")
    check_writable(folder.absolute().parent, field="--index")


def _replace_folder(new: Path, folder: Path) -> None:
    """Replace `folder` by `new`. A folder cannot be swapped atomically, so the old one is renamed first."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _tidy(folder: Path) -> None:
    """Remove files that interrupted builds left beside `folder`, and restore an index that one of them had renamed."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        process, _, kind = left.name.removeprefix(f".{folder.name}.").partition(".")
        if kind not in ("part", "old") or not process.isdecimal() or _lives(int(process)):
            continue
        if kind == "old" and not folder.exists():
            os.replace(left, folder)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _lives(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere, os.kill terminates the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # a process of another user
    return process != os.getpid()
