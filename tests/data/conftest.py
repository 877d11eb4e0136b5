from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nearfar.data import load
from nearfar.errors import InputError


@pytest.fixture
def mistake(tmp_path: Path) -> Callable[..., InputError]:
    """Writes a file, loads it and returns the error, which has one line that names the file and a remedy."""

    def of(name: str, content: str | bytes, **options: Any) -> InputError:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError) as caught:
            load(path, **options)
        error = caught.value
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
        assert error.remedy
        return error

    return of
