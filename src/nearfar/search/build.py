"""Building an index. Readers see the old index or the new one, never a partial one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.data.corpus import where_is
from nearfar.data.streams import TextStream
from nearfar.errors import InputError
from nearfar.models.encoding import TextOptions
from nearfar.models.encoding_windows import EncodeWindows, Progress, encode_windows
from nearfar.models.prompts import prompts_of
from nearfar.models.stored_arrays import StoredArrays
from nearfar.search.given_vectors import given_windows
from nearfar.search.index import TEXTS, SearchIndex, mapped
from nearfar.search.metadata import (
    FORMAT,
    METADATA,
    IndexMetadata,
    OtherVersionError,
    corpus_fingerprint,
    named,
    read_metadata,
    similarity_of,
    stale,
    write_metadata,
)
from nearfar.search.precision import Precision, VectorWriter, check_precision, files_of
from nearfar.search.recall import nearest_in_sample, recall_of
from nearfar.writing import check_writable, file_claimed, replace_folder, settled, tidy, tidy_unless_busy

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


def build_index(
    model: SentenceTransformer | str | Path,
    texts: Sequence[str] | Dataset | TextStream,
    folder: str | Path,
    *,
    ids: Sequence[str] | None = None,
    corpus: str | Path | None = None,
    precision: str = "float32",
    batch_size: int = 64,
    progress: Progress | None = None,
    vectors: str | Path | None = None,
    encode: EncodeWindows = encode_windows,
) -> SearchIndex:
    """Encode a corpus and write its index. The folder appears, or is replaced, only when the index is complete.

    Args:
        model: An encoder, or a name for `nearfar.models.load`; `open_index` can load the model only if it has a name.
        texts: The documents: a sequence, or a dataset with a column `text`.
        folder: A new or empty folder, or an existing index.
        ids: The ids of the documents; row numbers from 1 when None.
        corpus: The file the texts were read from, stored to detect changes.
        precision: `float32`, `int8` or `binary`, see `nearfar.search.precision`.
        batch_size: Texts per forward pass.
        progress: Called with (texts done, total).
        vectors: A file of the documents' vectors, as `nearfar encode --as document` writes it: the corpus is not
            encoded, only the first text of each window, to compare them; see `nearfar.search.given_vectors`.
        encode: What encodes the documents: this process, or the workers of `nearfar.encoding.OnRay`.

    Raises:
        InputError: No texts, a number of ids other than that of texts, vectors of other texts or of another model, a
            folder with other contents, or a model whose similarity is neither cosine nor dot product.
    """
    source = _Source(corpus, corpus_fingerprint(corpus), None)
    how = check_precision(precision)
    return _build(
        *named(model), texts, Path(folder), ids, source, how, batch_size, progress, given=vectors, encode=encode
    )


def open_or_build(
    model: SentenceTransformer | str | Path,
    corpus: str | Path,
    read: Callable[[], tuple[Sequence[str] | None, Sequence[str] | Dataset | TextStream]],
    folder: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    precision: str | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
    resumable: bool = False,
    vectors: str | Path | None = None,
    encode: EncodeWindows = encode_windows,
) -> SearchIndex:
    """Open the index of a corpus file; build it first if it does not exist or is stale.

    Args:
        model: An encoder, or a name for `nearfar.models.load`.
        corpus: The corpus file.
        read: Returns ids (None for row numbers) and texts. Called only to build the index.
        folder: The folder of the index.
        columns: The mapping that `read` applies; an index of other columns is stale.
        precision: See `build_index`; an index of another one is stale. None: that of the index that exists.
        batch_size: Texts per forward pass.
        progress: Called with (texts done, total) while building.
        resumable: Whether vectors are stored next to the folder until the index is complete, so that a build that is
            interrupted continues where it was.
        vectors: As for `build_index`; read only to build the index.
        encode: As for `build_index`.

    Returns:
        The index. Its `built` is the reason why it was built, None if it existed.

    Raises:
        InputError: As `build_index`; an index that is damaged, or another process that builds it.
    """
    folder = settled(folder)
    # Computed before the corpus is read, so that an index of a corpus that changes meanwhile is stale.
    source = _Source(corpus, corpus_fingerprint(corpus), dict(columns) if columns else None)
    name, loaded = named(model)
    wanted = None if precision is None else check_precision(precision)
    kept_vectors = folder.with_name(f".{folder.name}.vectors")
    opened, _ = _opened(folder, loaded, source, wanted)
    if opened is not None:
        tidy_unless_busy(folder, "--index", unfinished=kept_vectors)
        return opened
    with file_claimed(folder, "--index"):
        tidy(folder)
        # Once more: another process may just have built it.
        opened, reason = _opened(folder, loaded, source, wanted)
        if opened is None:
            ids, texts = read()
            kept = resumable and vectors is None
            stored = StoredArrays(kept_vectors) if kept else None
            how = wanted or _precision_in(folder)
            opened = _build(
                name, loaded, texts, folder, ids, source, how, batch_size, progress, stored, vectors, encode
            )
            opened.built = reason
        shutil.rmtree(kept_vectors, ignore_errors=True)
        return opened


def _opened(
    folder: Path, model: SentenceTransformer, source: _Source, precision: Precision | None
) -> tuple[SearchIndex | None, str]:
    """The index if it is up to date, or why there must be a new one.

    Raises:
        InputError: The index is damaged.
    """
    if not (folder / METADATA).is_file():
        return None, "new"
    try:
        metadata = read_metadata(folder)
    except OtherVersionError as error:
        return None, error.problem
    changed = stale(metadata, model, source.fingerprint)
    if changed is None and metadata.columns != source.columns:
        changed = "built with other columns"
    if changed is None and precision not in (None, metadata.precision):
        changed = f"built with vectors of {metadata.precision}"
    if changed is not None:
        return None, changed
    try:
        return mapped(folder, metadata, model), ""
    except InputError:
        if read_metadata(folder) == metadata:
            raise
        return _opened(folder, model, source, precision)  # replaced while it was read


def _precision_in(folder: Path) -> Precision:
    """The precision of the index that a folder has, to be kept; float32 without one."""
    try:
        return check_precision(read_metadata(folder).precision)
    except InputError:
        return "float32"


class _Source(NamedTuple):
    """The corpus file, its fingerprint, and the mapping of its columns; all None for texts without a file."""

    file: str | Path | None
    fingerprint: str | None
    columns: dict[str, str] | None


def _build(
    name: str | None,
    model: SentenceTransformer,
    texts: Sequence[str] | Dataset | TextStream,
    folder: Path,
    ids: Sequence[str] | None,
    source: _Source,
    precision: Precision,
    batch_size: int,
    progress: Progress | None,
    stored: StoredArrays | None = None,
    given: str | Path | None = None,
    encode: EncodeWindows = encode_windows,
) -> SearchIndex:
    from nearfar.data.files import sha256
    from nearfar.models import fingerprint

    _check_target(folder)
    if ids is not None and not isinstance(texts, TextStream) and len(ids) != len(texts):
        raise InputError(f"expected one id per text, got {len(ids)} ids for {len(texts)} texts", field="ids")
    similarity = similarity_of(model)
    unit = similarity == "cosine"
    if given is not None:
        windows = given_windows(model, texts, given, normalize=unit, progress=progress)
    else:
        options: TextOptions = {"batch_size": batch_size, "normalize": unit, "kind": "document"}
        windows = encode(model, texts, progress=progress, stored=stored, **options)

    def write(unfinished: Path) -> None:
        unfinished.mkdir()
        vectors = VectorWriter(unfinished, precision, similarity)
        sample = nearest_in_sample(_written(unfinished, windows, ids, vectors))
        vectors.close()
        metadata = IndexMetadata(
            format=FORMAT,
            model=name,
            model_fingerprint=fingerprint(model),
            corpus=None if source.file is None else where_is(source.file),
            corpus_fingerprint=source.fingerprint,
            columns=source.columns,
            similarity=similarity,
            dimension=vectors.ndim,
            count=vectors.rows,
            sha256={file: sha256(unfinished / file) for file in (*files_of(precision, vectors.graphs), TEXTS)},
            prompts=prompts_of(model, ("query", "document")),
            precision=precision,
            scale=vectors.scale,
            graphs=vectors.graphs,
        )
        recall = recall_of(mapped(unfinished, metadata, model), sample)
        write_metadata(unfinished / METADATA, replace(metadata, recall=recall))

    with file_claimed(folder, "--index"):
        try:
            replace_folder(folder, write)
        finally:
            tidy(folder)
        index = mapped(folder, read_metadata(folder), model)
    index.built = "new"
    return index


def _written(folder: Path, windows: Any, ids: Sequence[str] | None, vectors: VectorWriter) -> Iterator[Any]:
    """Write texts and vectors, and yield the vectors of each window."""
    import pyarrow as pa

    schema = pa.schema({"id": pa.string(), "text": pa.string()})
    with pa.OSFile(str(folder / TEXTS), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for texts, block in windows:
            rows = range(vectors.rows, vectors.rows + len(texts))
            names = [str(row + 1) if ids is None else str(ids[row]) for row in rows]
            writer.write_batch(pa.record_batch([pa.array(names), pa.array(texts)], schema=schema))
            vectors.add(block)
            yield block


def _check_target(folder: Path) -> None:
    if folder.is_file():
        raise InputError("expected a folder, got a file", file=folder, remedy="choose another name")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / METADATA).is_file():
        raise InputError("already contains other files", file=folder, remedy="choose an empty or new folder")
    check_writable(folder.absolute().parent, field="--index")
