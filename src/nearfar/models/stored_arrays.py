"""Arrays that take long to compute, stored in a folder while a command runs, so that it can be resumed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.writing import draft_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["StoredArrays"]

_NAME = re.compile(r"[0-9a-f]{40}\.npy")


class StoredArrays:
    """A folder of `.npy` files, each named by a hash of what its array was computed from.

    An array is therefore never used for other input, and what was interrupted between two arrays loses neither.

    Args:
        folder: The folder; created when the first array is stored.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._used: set[str] = set()

    def get(self, made_from: Iterable[object], make: Callable[[], np.ndarray], *, rows: int) -> np.ndarray:
        """The stored array; computed and stored first if it does not exist or is damaged.

        Args:
            made_from: Everything that the array depends on; each part is compared by its `repr`.
            make: Computes the array.
            rows: Its length; a stored array of another length, or with a value that is not finite, is damaged.
        """
        import numpy as np

        file = self._file(made_from)
        self._used.add(file.name)
        stored = _read(file, rows)
        if stored is not None:
            return stored
        array = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        with draft_of(file) as draft, draft.open("wb") as stream:
            np.save(stream, array)
        return array

    def contains(self, made_from: Iterable[object], *, rows: int) -> bool:
        """Whether `get` would return a stored array."""
        return _read(self._file(made_from), rows) is not None

    def remove_unused(self) -> None:
        """Remove the arrays that this object has not returned, of other texts or models; other files stay."""
        for file in self.folder.glob("*.npy"):
            if _NAME.fullmatch(file.name) and file.name not in self._used:
                file.unlink()

    def _file(self, made_from: Iterable[object]) -> Path:
        digest = hashlib.blake2b(digest_size=20)
        for part in made_from:
            digest.update(repr(part).encode("utf-8", "surrogatepass") + b"\0")
        return self.folder / f"{digest.hexdigest()}.npy"


def _read(file: Path, rows: int) -> np.ndarray | None:
    """The array of a file; None if the file does not exist or is damaged."""
    import numpy as np

    try:
        stored = np.load(file, allow_pickle=False)
        return stored if len(stored) == rows and np.isfinite(stored).all() else None
    except (OSError, TypeError, ValueError, EOFError):
        return None
