"""Two folders exchange their names in one step."""

from __future__ import annotations

import ctypes
import errno
import sys
from pathlib import Path

import pytest

from nearfar import exchange


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    return tmp_path / "a", tmp_path / "b"


def test_names_are_exchanged_or_nothing_happens(two: tuple[Path, Path]) -> None:
    done = exchange.exchanged(*two)
    assert [path.name for folder in two for path in folder.iterdir()] == (["b", "a"] if done else ["a", "b"])


def test_a_system_without_it(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange.sys, "platform", "darwin")
    assert not exchange.exchanged(*two)
    assert (two[0] / "a").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the call exists on Linux alone")
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EACCES])
def test_what_the_file_system_cannot_is_no_error_but_all_else_is(
    code: int, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        ctypes.set_errno(code)
        return -1

    class Library:
        renameat2 = staticmethod(fails)

    monkeypatch.setattr(exchange.ctypes, "CDLL", lambda *_, **__: Library)
    if code == errno.EACCES:
        with pytest.raises(PermissionError):
            exchange.exchanged(*two)
    else:
        assert not exchange.exchanged(*two)


@pytest.mark.skipif(sys.platform != "linux", reason="the call exists on Linux alone")
def test_a_folder_that_does_not_exist(two: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        exchange.exchanged(two[0], tmp_path / "nowhere")
