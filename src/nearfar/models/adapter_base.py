"""The base model that an adapter was trained on, which is loaded with it."""

from __future__ import annotations

from pathlib import Path

from nearfar.errors import InputError
from nearfar.models.adapters import CONFIGURATION
from nearfar.models.model_files import check_files, json_object

__all__ = ["base_of", "check_base"]

_FIELD = "base_model_name_or_path"


def base_of(folder: Path) -> str | None:
    """The folder or Hub ID of the base model; None if the folder does not contain an adapter.

    Raises:
        InputError: The adapter does not name its base model.
    """
    file = folder / CONFIGURATION
    if not file.is_file():
        return None
    base = json_object(file).get(_FIELD)
    if not isinstance(base, str) or not base.strip():
        raise InputError("the adapter does not name its base model", file=file, field=_FIELD, remedy="add its path")
    return base


def check_base(folder: Path) -> None:
    """Check the files of an adapter's base model, as `check_files` does those of the adapter; nothing of a Hub ID.

    Raises:
        InputError: The base model does not exist, or its files are damaged or pickled.
    """
    base = base_of(folder)
    if base is None:
        return
    if Path(base).is_dir():
        check_files(Path(base))
    elif Path(base).is_absolute() or base.startswith((".", "~")) or base.count("/") > 1:
        problem = f"the base model {base!r} of this adapter does not exist"
        raise InputError(problem, file=folder / CONFIGURATION, field=_FIELD, remedy="set it to the base model's folder")
