"""What can be derived from an index without encoding anything: kept in its folder, and made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nearfar.errors import InputError
from nearfar.search.metadata import REBUILD
from nearfar.writing import file_claimed, replace_folder, tidy, tidy_unless_busy

__all__ = ["checked", "made_beside"]

_SUMS = "sha256.yaml"


def made_beside(folder: Path, make: Callable[[Path], object], *, complete: Callable[[], bool] = lambda: True) -> None:
    """Make a folder inside an index, unless it exists. An index that is built again begins without it.

    Args:
        folder: The folder to make.
        make: Writes its files into a folder, which exists.
        complete: Whether a folder that exists contains what is needed; otherwise it is replaced.
    """
    if (folder / _SUMS).is_file() and complete():
        tidy_unless_busy(folder, "--index")
        return
    with file_claimed(folder, "--index", wait=600):
        tidy(folder)
        if (folder / _SUMS).is_file() and complete():
            return  # by another process, in the meantime

        def write(unfinished: Path) -> None:
            unfinished.mkdir()
            make(unfinished)
            _write_sums(unfinished)

        replace_folder(folder, write)


def checked(folder: Path) -> Path:
    """The same folder, after its files were found to be those that were written.

    Raises:
        InputError: One was damaged or exchanged.
    """
    import yaml

    from nearfar.models.aliases import sha256

    try:
        sums = yaml.safe_load((folder / _SUMS).read_text("utf-8"))
        wrong = [name for name, wanted in sums.items() if sha256(folder / str(name)) != wanted]
    except (OSError, yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
        raise InputError("the index is damaged", file=folder, remedy=REBUILD) from error
    if wrong:
        problem = "the index is damaged: this file is not the one that was built"
        raise InputError(problem, file=folder / wrong[0], remedy=REBUILD)
    return folder


def _write_sums(folder: Path) -> None:
    import yaml

    from nearfar.models.aliases import sha256

    sums = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    (folder / _SUMS).write_text(yaml.safe_dump(sums), "utf-8")
