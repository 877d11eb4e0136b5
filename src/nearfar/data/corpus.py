"""Reads the documents of a corpus file, which may be larger than memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from nearfar.data._blocks import ROWS
from nearfar.data.files import check_file, list_folder, sha256, unpacked_name
from nearfar.data.retrieval import is_beir_corpus, is_retrieval_folder
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.data.streams import TextStream


@overload
def read_corpus(
    file: str | Path, columns: Mapping[str, str] | None = None, *, stream: Literal[False] = False
) -> tuple[Sequence[str] | None, Sequence[str]]: ...


@overload
def read_corpus(
    file: str | Path, columns: Mapping[str, str] | None = None, *, stream: bool
) -> tuple[Sequence[str] | None, Sequence[str] | TextStream]: ...


def read_corpus(
    file: str | Path, columns: Mapping[str, str] | None = None, *, stream: bool = False
) -> tuple[Sequence[str] | None, Sequence[str] | TextStream]:
    """The ids (None: row numbers) and texts of a corpus. Texts are memory-mapped beyond 256 MiB.

    A `corpus.jsonl` in BEIR format has ids and titles; anything else, also a `corpus.jsonl` without any `_id`, requires
    a column `text`.

    Args:
        file: As for `nearfar.data.load`.
        columns: Canonical column name -> name in the file.
        stream: Whether the texts are read while they are used, and none is copied to the disk; ids appear with them.

    Raises:
        InputError: The corpus cannot be read, or a row has no text.
    """
    from nearfar.data.readers import load

    if stream:
        from nearfar.data.streams import TextStream

        texts = TextStream(file, columns=columns)
        return texts.ids, texts

    if is_beir_corpus(file, columns):
        return _beir_corpus(file)
    return None, load(file, columns=columns, schema="sentences")["text"]


def read_queries(file: str | Path, columns: Mapping[str, str] | None = None) -> tuple[list[str], list[str]]:
    """The ids and texts of queries: a `queries.jsonl` in BEIR format, or rows with a column `text`, numbered from 1.

    Raises:
        InputError: The file cannot be read, or a query is empty.
    """
    from nearfar.data.readers import load
    from nearfar.data.retrieval import query_entries

    if unpacked_name(Path(file)) == "queries.jsonl" and not columns:
        ids, texts = zip(*query_entries(file), strict=True)
        return list(ids), list(texts)
    texts = list(load(file, columns=columns, schema="sentences")["text"])
    return [str(row) for row in range(1, len(texts) + 1)], texts


def corpus_sha256(source: str | Path) -> str:
    """What changes with a corpus: of a file its SHA-256, of a folder that of all files in it, of a Hub ID its commit.

    Raises:
        InputError: It does not exist, or the hub cannot be reached.
    """
    if _on_hub(source):
        return _commit(str(source))
    path = Path(source).expanduser()
    if is_retrieval_folder(source):
        problem = "is a BEIR-format dataset, not a corpus"
        raise InputError(problem, file=source, remedy=f"name its corpus: {path / 'corpus.jsonl'}")
    if not path.is_dir():
        check_file(path)
        return sha256(path)
    files = [f"{each.name} {sha256(each)}" for each in list_folder(path) if each.is_file()]
    inner = [f"{each.name} {corpus_sha256(each)}" for each in list_folder(path) if each.is_dir()]
    return hashlib.sha256("\n".join([*files, *inner]).encode()).hexdigest()


def index_beside(source: str | Path) -> Path:
    """The folder of a corpus's index by default: beside a file or folder, of a Hub ID in the working directory."""
    name = Path(source).name.replace(":", "-") + ".index"
    return Path(name) if _on_hub(source) else Path(source).with_name(name)


def where_is(source: str | Path) -> str:
    """A corpus's name that does not depend on the working directory: a full path, or a Hub ID."""
    return str(source) if _on_hub(source) else str(Path(source).resolve())


def _on_hub(source: str | Path) -> bool:
    from nearfar.data._hub import is_hub_id
    from nearfar.data.sources import looks_like_file

    text = str(source)
    return not Path(source).expanduser().exists() and not looks_like_file(text) and is_hub_id(text)


def _commit(name: str) -> str:
    from huggingface_hub import dataset_info
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return str(dataset_info(name.partition(":")[0]).sha)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).partition("\n")[0]
        problem = f"{name!r} is neither an existing file nor a reachable dataset ({reason:.120})"
        raise InputError(problem, remedy="check the spelling and the connection, or name a file") from None


def _beir_corpus(file: str | Path) -> tuple[list[str], Any]:
    from uuid import uuid4

    import pyarrow as pa
    from datasets import Dataset

    from nearfar.data._arrow import Gathered
    from nearfar.data.retrieval import corpus_entries

    gathered, ids = Gathered(), []
    entries = corpus_entries(file)
    while some := list(islice(entries, ROWS)):
        keys, texts = zip(*some, strict=True)
        ids.extend(keys)
        gathered.add(pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], ["text"]))
    return ids, Dataset(gathered.table(), fingerprint=uuid4().hex)["text"]
