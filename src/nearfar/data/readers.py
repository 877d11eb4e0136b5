"""`load`: rows from files, folders of files and the hub, every row checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from nearfar.data.schemas import rename
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def load(
    source: str | Path | Dataset,
    *,
    columns: Mapping[str, str] | None = None,
    schema: str | None = None,
    split: str = "train",
    limit: int | None = None,
    skip_broken: bool = False,
) -> Dataset:
    """Read a table whose columns fit one of the schemas, and check every row.

    Args:
        source: A file (`.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`, `.txt` with a text per line, each also with
            `.gz` or `.zst`), a folder of such files or of `datasets.save_to_disk`, a BEIR-format dataset (its queries
            and their documents as pairs), a hub id `user/name` or `user/name:config`, or a dataset in memory. A folder
            of images or audio files, each in a folder named after its label, is a table too.
        columns: Canonical column name -> name in the file, for files with other column names.
        schema: Name of the schema; by default the one that uses most of the columns.
        split: Split of a hub dataset, or of a folder whose file names contain the name of a split. A file has one
            split.
        limit: Maximum number of rows; rows after it are not checked.
        skip_broken: Remove rows whose image or audio file is missing or corrupted, and turns of dialogues without a
            text, with a warning that counts and names them.

    Returns:
        The columns of the schema in canonical order, and `task` if the table has it; other columns are dropped. Texts
        are strings exactly as written, scores float64, labels and dialogue ids int64 or strings as in the file,
        `positive` with a list in each row gives one row per text, `negative` one column per text (`negative_1`, ...);
        `rationales` lists of strings or of {text, answer}, `candidates` and `labels` lists of strings, `scores` lists
        of float64, `turns` lists of {speaker, text, acts, slots}, `image` and `audio` paths, relative ones joined to
        the folder of their table. Held in memory, or memory-mapped beyond 256 MiB; the texts of `save_to_disk` are
        always mapped, and not copied.

    Raises:
        InputError: The source cannot be read, or a row does not fit the schema.
    """
    from datasets import Audio, ClassLabel, Dataset, Image

    from nearfar.data._arrow import Gathered
    from nearfar.data._table import Table
    from nearfar.data._unfolding import unfolded
    from nearfar.data.media import usable
    from nearfar.data.sources import open_sources

    if limit is not None and limit < 1:
        raise InputError(f"invalid number of rows {limit}: must be 1 or more", field="limit")
    sources, features = open_sources(source, split, limit)
    table = Table(next(sources), columns or {}, schema, skip_broken)
    if (stored := table.as_stored()) is not None:
        return stored
    gathered = Gathered()
    table.read(gathered, limit)
    for further in sources:
        if limit is not None and gathered.rows >= limit:
            break
        table.continue_with(further).read(gathered, limit)
    if not gathered.rows:
        raise InputError("contains no turn with a text", file=table.first, remedy="add dialogues with text")
    # Without a given fingerprint, the library would pickle a copy of the table to compute one.
    dataset = Dataset(unfolded(gathered.table(), table.first), fingerprint=uuid4().hex)
    for column in table.columns:
        if column.name not in dataset.column_names:
            continue
        # Images and audio from the hub stay decodable, class labels keep their names.
        feature = features.get(column.field)
        if isinstance(feature, ClassLabel | Image | Audio):
            dataset = dataset.cast_column(column.name, feature)
    return usable(dataset, str(source) if isinstance(source, (str, Path)) else "the dataset", skip_broken=skip_broken)


def columns_of(
    source: str | Path | Dataset, *, columns: Mapping[str, str] | None = None, split: str = "train"
) -> list[str]:
    """The canonical column names of a source, of its first file if it has several. Arguments as for `load`.

    Raises:
        InputError: The source cannot be read, or has no column that `columns` names.
    """
    from nearfar.data.sources import open_sources

    sources, _ = open_sources(source, split, 1)
    first = next(sources)
    return list(rename(first.names, columns or {}, first.file))
