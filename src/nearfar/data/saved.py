"""Folders that `datasets.save_to_disk` writes, with one split or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data._hints import close_name
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

#: The files by which the library knows its folders: of one dataset, and of several splits.
_ONE, _SEVERAL = "state.json", "dataset_dict.json"


def is_saved(folder: Path) -> bool:
    """Whether a path is a folder of `save_to_disk`."""
    if (folder / _SEVERAL).is_file():
        return True
    return (folder / _ONE).is_file() and ((folder / "dataset_info.json").is_file() or any(folder.glob("data-*.arrow")))


def open_saved(folder: Path, split: str) -> Dataset:
    """Open such a folder; its rows stay on the disk. A folder of one dataset has no splits.

    Raises:
        InputError: It has no such split, is empty, or is damaged.
    """
    import pyarrow as pa
    from datasets import Dataset, DatasetDict, load_from_disk

    try:
        found = load_from_disk(str(folder))
    except IndexError:
        # A dataset without rows has no file of rows.
        raise InputError("is empty", file=folder, remedy="add rows") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        remedy = "write it again with save_to_disk(), or a file with to_parquet()"
        raise InputError(
            f"cannot be loaded as a folder of save_to_disk ({reason:.120})", file=folder, remedy=remedy
        ) from None
    if isinstance(found, DatasetDict):
        if split not in found:
            known = [str(name) for name in found]
            near = close_name(split, known)
            remedy = f"did you mean {near!r}?" if near else f"name the folder of one of them: {', '.join(known)}"
            raise InputError(f"no split {split!r}", file=folder, field="split", remedy=remedy)
        found = found[split]
    assert isinstance(found, Dataset)
    if not len(found):
        raise InputError("is empty", file=folder, remedy="add rows")
    return found
