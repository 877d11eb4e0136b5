"""Documents to train a language model on: plain text, or any table with a column `text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data.files import list_folder
from nearfar.data.formats import FORMATS, format_of
from nearfar.data.schemas import TASK
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

#: Suffixes of plain text, each also with `.gz` or `.zst`.
PLAIN = (".txt", ".md", ".text")


def load_documents(
    data: str | Path | Dataset | Sequence[str | Path | Dataset],
    *,
    columns: Mapping[str, str] | None = None,
    split: str = "train",
) -> Dataset:
    """Read documents, one per row.

    Args:
        data: A file, a folder of files, a hub id, a dataset in memory, or several of these. In plain text (`.txt`,
            `.md`) a blank line ends a document; in a table each row is a document. In a folder with tables, `.md` files
            are notes and are not read.
        columns: `{"text": NAME}` for tables with another column name.
        split: Split of a hub dataset, or of a folder of tables with several splits.

    Returns:
        The column `text`, and `task` if all sources have it. Held in memory, or memory-mapped beyond 256 MiB.

    Raises:
        InputError: As for `nearfar.data.load`; or a folder contains both plain text and tables.
    """
    from datasets import Dataset, concatenate_datasets

    from nearfar.data.readers import load

    sources = [data] if isinstance(data, (str, Path, Dataset)) else list(data)
    if not sources:
        raise InputError("expected a file, a folder or a hub id, got none", field="--data")
    parts = []
    for source in sources:
        plain = [] if isinstance(source, Dataset) else plain_files(Path(source).expanduser())
        parts.append(_read(plain) if plain else load(source, columns=columns, split=split, schema="sentences"))
    if len(parts) == 1:
        return parts[0]
    shared = [name for name in ("text", TASK) if all(name in part.column_names for part in parts)]
    return concatenate_datasets([part.select_columns(shared) for part in parts])


def plain_files(path: Path) -> list[Path]:
    """The plain text files of a path; none if the path has tables.

    Raises:
        InputError: A folder contains both.
    """
    if not path.is_dir():
        return [path] if format_of(path) in PLAIN else []
    files = [file for file in list_folder(path) if file.is_file()]
    plain = [file for file in files if format_of(file) in PLAIN]
    if not any(format_of(file) in FORMATS for file in files):
        return plain
    mixed = next((file for file in plain if format_of(file) != ".md"), None)
    if mixed is not None:
        problem = "is plain text in a folder with tables, so it is unclear which are meant"
        raise InputError(problem, file=mixed, remedy="name the files one by one")
    return []


def _read(files: Sequence[Path]) -> Dataset:
    from uuid import uuid4

    import pyarrow as pa
    from datasets import Dataset

    from nearfar.data._arrow import Gathered
    from nearfar.data._plain import open_plain

    gathered = Gathered()
    for file in files:
        for block in open_plain(file).blocks(["text"]):
            gathered.add(pa.RecordBatch.from_arrays([pa.array(block.column("text"), pa.string())], ["text"]))
    return Dataset(gathered.table(), fingerprint=uuid4().hex)
