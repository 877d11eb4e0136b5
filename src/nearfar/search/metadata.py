"""What an index says of itself, and whether that still holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

METADATA = "index.yaml"


@dataclass(frozen=True)
class IndexMetadata:
    """What `index.yaml` says: which model and corpus the vectors came from.

    Args:
        format: The version of this folder's layout.
        model: The model's name as `nearfar.models.load` takes it; None where a model without a name was passed.
        model_fingerprint: `nearfar.models.fingerprint` of that model.
        corpus: The corpus file; None where texts without a file were passed.
        corpus_fingerprint: The SHA-256 of that file.
        columns: Canonical column name -> name in that file, where the user mapped them.
        similarity: `cosine` or `dot`, the model's own.
        dimension: Numbers a vector.
        count: Documents.
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


def read_metadata(folder: str | Path) -> IndexMetadata:
    """What an index says of itself.

    Raises:
        InputError: The folder holds no index, or one this version cannot read.
    """
    import yaml

    file = Path(folder) / METADATA
    if not file.is_file():
        raise InputError(f"this folder holds no index: it has no {METADATA}", file=folder, remedy="build one first")
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("this is no readable YAML", file=file, remedy="build the index again") from error
    names = {field.name for field in fields(IndexMetadata)}
    if not isinstance(found, dict) or set(found) != names or found["format"] != 1:
        raise InputError("this index is of no version known here", file=file, remedy="build the index again")
    return IndexMetadata(**found)


def write_metadata(file: Path, metadata: IndexMetadata) -> None:
    """Write `index.yaml`."""
    import yaml

    file.write_text(yaml.safe_dump(asdict(metadata), sort_keys=False, allow_unicode=True), "utf-8")


def stale(metadata: IndexMetadata, model: SentenceTransformer, corpus: str | None) -> str | None:
    """Why an index no longer holds for this model and this corpus fingerprint (None: not compared); None if it does."""
    from nearfar.models import fingerprint

    if metadata.model_fingerprint != fingerprint(model):
        return "it was built with another model"
    if corpus is not None and metadata.corpus_fingerprint != corpus:
        return "the corpus changed since it was built"
    return None


def corpus_fingerprint(corpus: str | Path | None) -> str | None:
    """The SHA-256 of a corpus file; None for none."""
    from nearfar.data.files import check_file
    from nearfar.models.aliases import sha256

    if corpus is None:
        return None
    path = Path(corpus)
    check_file(path)
    return sha256(path)


def named(model: SentenceTransformer | str | Path) -> tuple[str | None, SentenceTransformer]:
    """A model and the name to load it by again, which must hold in any working directory."""
    from nearfar.models import ALIASES, load

    if not isinstance(model, (str, Path)):
        return None, model
    is_folder = str(model) not in ALIASES and Path(model).expanduser().is_dir()
    return str(Path(model).expanduser().resolve()) if is_folder else str(model), load(model)
