"""A folder that is replaced: whatever is killed, and whenever, the old one or the new one is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nearfar import writing
from nearfar.writing import replace_folder, settled, tidy

# Replaces a folder in a process of its own, which dies by SIGKILL before the call N of those that change folders.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from nearfar import writing
folder, n, exchanges = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "exchange"
calls = 0
def dying(original):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    return call
def save(part):
    part.mkdir()
    (part / "w").write_text("new")
os.rename, os.replace, os.unlink, os.rmdir = map(dying, (os.rename, os.replace, os.unlink, os.rmdir))
shutil.rmtree = dying(shutil.rmtree)
writing.exchanged = dying(writing.exchanged if exchanges else lambda *_: False)
writing.replace_folder(folder, save)
"""


@pytest.mark.parametrize("how", ["exchange", "renames"])
def test_killed_anywhere_the_old_folder_or_the_new_one_is_there(how: str, tmp_path: Path) -> None:
    kills, codes = 0, []
    while not codes or codes[-1] != 0:
        kills += 1
        folder = tmp_path / str(kills) / "model"
        folder.mkdir(parents=True)
        (folder / "w").write_text("old")
        codes.append(subprocess.run([sys.executable, "-c", KILLED, str(folder), str(kills), how]).returncode)
        if how == "exchange":
            assert (folder / "w").read_text() in ("old", "new"), f"before call {kills}"
        assert (settled(folder) / "w").read_text() in ("old", "new"), f"before call {kills}"
        replace_folder(folder, lambda part: part.mkdir())
        tidy(folder)
        assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert kills > 4


def test_a_reader_between_two_renames_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "w").write_text("old")
    monkeypatch.setattr(writing, "exchanged", lambda *_: False)
    real, renames = os.rename, []

    def rename(source: Path, target: Path) -> None:
        real(source, target)
        renames.append(source)
        if len(renames) == 1:
            assert (settled(folder) / "w").read_text() == "old"  # a reader, right now

    monkeypatch.setattr(writing.os, "rename", rename)
    replace_folder(folder, lambda part: (part.mkdir(), (part / "w").write_text("new")))
    assert (folder / "w").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk" / "model").mkdir(parents=True)
    link = tmp_path / "model"
    link.symlink_to(tmp_path / "disk" / "model")
    replace_folder(link, lambda part: (part.mkdir(), (part / "w").touch()))
    assert link.is_symlink()
    assert (tmp_path / "disk" / "model" / "w").exists()


def test_a_model_is_found_after_a_kill_between_two_renames(model_copy: Path) -> None:
    import nearfar

    model_copy.rename(model_copy.with_name(".model.old"))
    assert nearfar.load(model_copy, device="cpu").encode(["the cat"]).shape == (1, 32)
