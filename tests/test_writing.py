"""Files that appear as a whole or not at all, and folders that cannot be written to."""

from __future__ import annotations

import errno
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nearfar.errors import InputError
from nearfar.writing import (
    check_free,
    check_writable,
    draft_folder,
    draft_of,
    file_claimed,
    folder_claimed,
    full_disk_noticed,
    replace_folder,
    write_text,
)


def test_a_text_replaces_another_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text in ("one", "zwei ü\n"):
        write_text(text, file)
        assert file.read_text("utf-8") == text
    assert list(tmp_path.iterdir()) == [file]


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), draft_of(file) as draft:  # noqa: PT012
        assert draft != file
        assert draft.parent == tmp_path
        draft.write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert file.read_text() == "old"


def test_a_folder_is_replaced_once_the_new_one_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def save(fails: bool, name: str) -> Any:
        def into(part: Path) -> None:
            part.mkdir()
            (part / name).touch()
            if fails:
                raise OSError("no space")

        return into

    replace_folder(folder, save(False, "first"))
    with pytest.raises(OSError, match="no space"):
        replace_folder(folder, save(True, "second"))
    assert [path.name for path in folder.iterdir()] == ["first"]
    # What a killed process left is no part of the next.
    replace_folder(folder, save(False, "third"))
    assert [path.name for path in folder.iterdir()] == ["third"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_draft_folder_is_removed_also_that_of_a_killed_process(tmp_path: Path) -> None:
    target = tmp_path / "out"
    killed = tmp_path / ".out.999999.part"
    killed.mkdir()
    (killed / "half").touch()
    with file_claimed(target), draft_folder(target) as draft:
        assert not killed.exists()
        (draft / "model").mkdir()
        (draft / "model").rename(target)
    with pytest.raises(KeyboardInterrupt), draft_folder(target) as draft:  # noqa: PT012
        (draft / "half").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [target]


def test_partial_files_of_killed_processes_are_removed_where_a_folder_says(tmp_path: Path) -> None:
    left = [tmp_path / part / ".x.json.999999.part" for part in ("", "logs", "runs/a", "rungs/1/logs")]
    for each in left:
        each.parent.mkdir(parents=True, exist_ok=True)
        each.touch()
    with folder_claimed(tmp_path, parts=("logs", "rungs/*/logs", "none")):
        assert [each.exists() for each in left] == [False, False, True, False]


def test_what_exists_is_refused_and_the_lock_of_a_killed_process_removed(tmp_path: Path) -> None:
    target = tmp_path / "out"
    check_free(target)
    target.mkdir()
    (tmp_path / ".out.lock").touch()
    with pytest.raises(InputError) as caught:
        check_free(target, "--dry-run")
    assert (caught.value.file, caught.value.field) == (target, "--dry-run")
    assert list(tmp_path.iterdir()) == [target]


def test_the_lock_of_a_process_at_work_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with ThreadPoolExecutor(1) as other, file_claimed(target):
        with pytest.raises(InputError):
            other.submit(check_free, target).result()
        assert (tmp_path / ".out.lock").exists()


def test_folders_that_will_be_made_are_looked_for_above(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b" / "c")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        check_writable(tmp_path / "file" / "b", "--report")
    assert (caught.value.file, caught.value.field) == (tmp_path / "file", "--report")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_why_nothing_can_be_written(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> Any:
        raise OSError(number, "refused")

    told = {}
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(InputError) as caught:
        check_writable(tmp_path)
    told[number] = caught.value.remedy
    assert ("space" in str(told[number])) == (number == errno.ENOSPC)
    # Torch's own error does not tell that the disk is full.
    with pytest.raises(InputError), full_disk_noticed(tmp_path):
        raise RuntimeError("unexpected pos 64 vs 0")
    with pytest.raises(InputError, match="mine"), full_disk_noticed(tmp_path):
        raise InputError("mine")


def test_other_failures_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="other"), full_disk_noticed(tmp_path):
        raise RuntimeError("other")


def test_a_folder_whose_writing_fails_leaves_nothing(tmp_path: Path) -> None:
    def save(part: Path) -> None:
        part.mkdir()
        (part / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_folder(tmp_path / "model", save)
    assert not list(tmp_path.iterdir())
