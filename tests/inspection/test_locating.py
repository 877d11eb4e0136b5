"""Where the rows of an inspection are in their files."""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset

from nearfar.data import Retrieval, load, write_jsonl
from nearfar.inspection.locating import RowPlaces


def test_rows_of_a_file_have_lines(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "a"}\n\n{"text": "b"}\n')
    of = RowPlaces(file, load(file))
    assert not of.skipped
    assert of("text", 0) == {"file": str(file), "line": 1}
    assert of("text", 1) == {"file": str(file), "line": 3}
    assert of("text", "d7") == {"kind": "text", "id": "d7"}


def test_where_rows_were_skipped_they_are_numbered(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    write_jsonl([{"text": "a"}, {"text": "b"}, {"text": "c"}], file)
    of = RowPlaces(file, load(file).select([0, 2]))
    assert of.skipped
    assert of("text", 1) == {"file": str(file), "row": 2}


def test_rows_in_memory_are_numbered_from_one() -> None:
    rows = Dataset.from_dict({"text": ["a", "b"]})
    found = RowPlaces(rows, rows)("text", 1)
    assert found["row"] == 2
    assert "line" not in found


def test_what_is_retrieved_has_an_id() -> None:
    data = Retrieval({"1": "a", "2": "b"}, {"q": "c"}, {"q": {"1": 1}})
    of = RowPlaces(data, data)
    assert not of.skipped
    assert of("document", "1") == {"kind": "document", "id": "1"}
