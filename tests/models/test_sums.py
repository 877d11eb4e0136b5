"""The record of a folder's files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nearfar.errors import InputError
from nearfar.models.sums import FILE, changes, write_sums

RECORDED = ("model", "run.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model/part").mkdir(parents=True)
    for name in ("model/a.json", "model/part/b c.json", "run.yaml", "other.txt", "model/.hidden"):
        (tmp_path / name).write_text(name)
    write_sums(tmp_path, RECORDED)
    return tmp_path


def test_nothing_has_changed_after_writing(folder: Path) -> None:
    assert changes(folder, RECORDED) == (3, [])
    (folder / "other.txt").write_text("new")  # not recorded
    assert changes(folder, RECORDED) == (3, [])


def test_where_everything_was_recorded_a_new_file_at_the_top_is_named(folder: Path) -> None:
    write_sums(folder)
    assert changes(folder) == (4, [])
    (folder / "new.json").write_text("")
    (folder / "more").mkdir()
    (folder / "more/new.json").write_text("")
    (folder / ".gitattributes").write_text("")
    (folder / ".cache").mkdir()
    (folder / ".cache/download.json").write_text("")
    assert changes(folder)[1] == [f"more/new.json is not in {FILE}", f"new.json is not in {FILE}"]


def test_changed_missing_and_new_files_are_named(folder: Path) -> None:
    (folder / "model/a.json").write_text("model/b.json")
    (folder / "model/part/b c.json").unlink()
    (folder / "model/part/new.json").write_text("")
    assert changes(folder, RECORDED)[1] == [
        "model/a.json has changed",
        "model/part/b c.json is missing",
        f"model/part/new.json is not in {FILE}",
    ]


@pytest.mark.parametrize("name", ["run.yaml", "model/a.json", "model"])
def test_a_file_whose_line_was_removed_is_named(name: str, folder: Path) -> None:
    lines = (folder / FILE).read_text().splitlines(keepends=True)
    (folder / FILE).write_text("".join(line for line in lines if f"  {name}" not in line))
    found = changes(folder, RECORDED)[1]
    assert found
    assert all(each.startswith(name) and each.endswith(f"is not in {FILE}") for each in found)


def test_where_everything_was_recorded_the_lines_of_a_folder_cannot_be_removed(folder: Path) -> None:
    """As those of `1_Pooling/`, which has one file that `modules.json` reads."""
    write_sums(folder)
    lines = (folder / FILE).read_text().splitlines(keepends=True)
    (folder / FILE).write_text("".join(line for line in lines if "  model/part/" not in line))
    assert changes(folder)[1] == [f"model/part/b c.json is not in {FILE}"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="requires sha256sum")
def test_sha256sum_reads_the_record(folder: Path) -> None:
    assert subprocess.run(["sha256sum", "-c", "--quiet", FILE], cwd=folder).returncode == 0
    (folder / "run.yaml").write_text("changed")
    assert subprocess.run(["sha256sum", "-c", "--quiet", FILE], cwd=folder, capture_output=True).returncode == 1


def test_without_names_everything_is_recorded_but_the_record(folder: Path) -> None:
    write_sums(folder)
    write_sums(folder)
    assert changes(folder) == (4, [])


def test_a_record_that_cannot_be_read_is_refused(folder: Path) -> None:
    (folder / FILE).write_text("abc run.yaml\n")
    with pytest.raises(InputError, match=f"{FILE}:1"):
        changes(folder)
    (folder / FILE).write_bytes(b"\xb3")
    with pytest.raises(InputError, match="UTF-8"):
        changes(folder)
    (folder / FILE).unlink()
    with pytest.raises(InputError, match="does not exist"):
        changes(folder)
