"""Rows are written by the suffix, and never over their input."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.data import load
from nearfar.data.row_files import check_row_file, write_rows
from nearfar.errors import InputError

ROWS = [{"anchor": f"question {number}", "positive": f"answer {number}"} for number in range(5)]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet"])
def test_rows_are_read_as_they_were_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.data.row_files._ROWS", 2)
    assert write_rows(iter(ROWS), tmp_path / "new" / name) == 5
    assert load(tmp_path / "new" / name).to_list() == ROWS


def test_nothing_is_written_if_a_row_fails(tmp_path: Path) -> None:
    def rows():
        yield ROWS[0]
        raise KeyError("no more")

    for name in ("rows.jsonl", "rows.parquet"):
        with pytest.raises(KeyError):
            write_rows(rows(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, others in (("rows.csv", []), (tmp_path, []), ("rows.jsonl", [object(), tmp_path / "rows.jsonl"])):
        with pytest.raises(InputError, match="--fix"):
            check_row_file(path, "--fix", others=others)
    check_row_file("rows.jsonl", others=["other.jsonl", None])
