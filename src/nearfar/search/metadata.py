"""The metadata of an index, and whether the index is up to date."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.prompts import prompts_of, quoted

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

METADATA = "index.yaml"
#: Version 1 had no checksums, version 2 no precision, version 3 a single graph.
FORMAT = 4
_FORMATS = (1, 2, 3, FORMAT)
REBUILD = "remove the folder to build the index again"
_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "str | None": (str, type(None)),
    "float": (float, int),
    "float | None": (float, int, type(None)),
    "dict[str, str] | None": (dict, type(None)),
}


@dataclass(frozen=True)
class IndexMetadata:
    """The contents of `index.yaml`: the model and the corpus of the vectors.

    Args:
        format: Version of the folder's format.
        model: Name of the model for `nearfar.models.load`; None if a loaded model was passed.
        model_fingerprint: `nearfar.models.fingerprint` of that model.
        corpus: The corpus file; None for texts without a file.
        corpus_fingerprint: The SHA-256 of that file.
        columns: Canonical column name -> name in the file, if the user mapped columns.
        similarity: `cosine` or `dot`, as configured in the model.
        dimension: Dimension of the vectors.
        count: Number of documents.
        sha256: Name of each other file -> its SHA-256; None in version 1.
        prompts: What the model puts before queries (`query`) and documents (`document`); None in earlier versions.
        precision: Of the vectors, see `nearfar.search.precision`.
        scale: The component that the largest 8-bit code stands for; 0 for float32.
        recall: Part of the 10 nearest documents that a search finds, see `nearfar.search.recall`; None: all.
        graphs: Number of graphs that the vectors are in.
    """

    format: int
    model: str | None
    model_fingerprint: str
    corpus: str | None
    corpus_fingerprint: str | None
    columns: dict[str, str] | None
    similarity: str
    dimension: int
    count: int
    sha256: dict[str, str] | None = None
    prompts: dict[str, str] | None = None
    precision: str = "float32"
    scale: float = 0.0
    recall: float | None = None
    graphs: int = 1


class OtherVersionError(InputError):
    """An index of another version of nearfar, which can be built again."""


def read_metadata(folder: str | Path) -> IndexMetadata:
    """Read the metadata of an index.

    Raises:
        InputError: The folder contains no index, a damaged one, or one of another version (`OtherVersionError`).
    """
    import yaml

    file = Path(folder) / METADATA
    if not file.is_file():
        raise InputError(f"is not an index: {METADATA} is missing", file=folder, remedy="build an index first")
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("is damaged: not valid YAML", file=file, remedy=REBUILD) from error
    if not isinstance(found, dict):
        raise InputError("is damaged: expected names and values", file=file, remedy=REBUILD)
    if found.get("format") not in _FORMATS:
        raise OtherVersionError("unknown version of an index", file=file, remedy="build the index again")
    values: dict[str, Any] = {}
    for field in fields(IndexMetadata):
        values[field.name] = value = found.get(field.name, None if field.default is MISSING else field.default)
        if not isinstance(value, _TYPES[str(field.type)]):
            raise InputError(f"is damaged: invalid {field.name}", file=file, remedy=REBUILD)
    metadata = IndexMetadata(**values)
    if metadata.format > 1 and metadata.sha256 is None:
        raise InputError("is damaged: the checksums are missing", file=file, remedy=REBUILD)
    return metadata


def check_files(folder: Path, metadata: IndexMetadata, names: Sequence[str]) -> None:
    """Find out that a file was damaged or exchanged, before a native library reads it.

    Raises:
        InputError: Which file it is.
    """
    from nearfar.data.files import sha256

    if metadata.sha256 is None:
        logger.warning("%s was built without checksums: damage to its files is not noticed until it is rebuilt", folder)
    for name in names:
        file = folder / name
        if not file.is_file():
            raise InputError("the index is damaged: this file is missing", file=file, remedy=REBUILD)
        if metadata.sha256 is not None and sha256(file) != metadata.sha256.get(name):
            problem = "the index is damaged: this file is not the one that was built"
            raise InputError(problem, file=file, remedy=REBUILD)


def write_metadata(file: Path, metadata: IndexMetadata) -> None:
    """Write `index.yaml`."""
    import yaml

    file.write_text(yaml.safe_dump(asdict(metadata), sort_keys=False, allow_unicode=True), "utf-8")


def stale(metadata: IndexMetadata, model: SentenceTransformer, corpus: str | None) -> str | None:
    """Why an index is stale for a model and the fingerprint of a corpus (None: not compared); None if up to date."""
    from nearfar.models import fingerprint

    if metadata.model_fingerprint != fingerprint(model):
        now = prompts_of(model, ("query", "document"))
        if metadata.prompts is not None and metadata.prompts != now:
            return f"built with other prompts ({quoted(metadata.prompts)}; now {quoted(now)})"
        return "built with another model"
    if corpus is not None and metadata.corpus_fingerprint != corpus:
        return "the corpus has changed"
    return None


def corpus_fingerprint(corpus: str | Path | None) -> str | None:
    """The SHA-256 of a corpus; None without one."""
    from nearfar.data.corpus import corpus_sha256

    return None if corpus is None else corpus_sha256(corpus)


def similarity_of(model: SentenceTransformer) -> str:
    """The similarity of a model, `cosine` or `dot`.

    Raises:
        InputError: It is another one.
    """
    if model.similarity_fn_name not in ("cosine", "dot"):
        raise InputError(f"unsupported similarity {model.similarity_fn_name}: must be cosine or dot product")
    return model.similarity_fn_name


def named(model: SentenceTransformer | str | Path) -> tuple[str | None, SentenceTransformer]:
    """A loaded model and the name by which it can be loaded from any working directory."""
    from nearfar.models import load
    from nearfar.models.aliases import absolute_name

    if not isinstance(model, (str, Path)):
        return None, model
    return absolute_name(model), load(model)
