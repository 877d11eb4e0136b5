"""Columns outside the schema: their values are those of the file, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from nearfar.data import load
from nearfar.data.other_columns import other_columns


def written(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_values_are_exact_in_every_block(tmp_path: Path) -> None:
    """Later blocks are parsed by Arrow, which would turn 1 into 1.0 beside 0.5."""
    rows = [{"text": f"t {n}", "label": "a", "id": n if n % 2 else n / 2, "note": None} for n in range(9000)]
    rows[8500].pop("note")
    rows[8999]["late"] = [1]
    found = other_columns(written(tmp_path / "a.jsonl", rows))
    assert len(found) == len(load(tmp_path / "a.jsonl"))
    assert json.dumps(found) == json.dumps(
        [{k: v for k, v in row.items() if k not in ("text", "label")} for row in rows]
    )


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_values_of_tables_are_texts(tmp_path: Path, name: str) -> None:
    lines = [("id", "text", "label"), ("01", "the cat", "x"), ("", "the dog", "y")]
    (tmp_path / name).write_text("".join(("," if name == "a.csv" else "\t").join(line) + "\n" for line in lines))
    assert other_columns(tmp_path / name) == [{"id": "01"}, {"id": ""}]


def test_a_list_of_positives_is_several_rows(tmp_path: Path) -> None:
    rows = [{"anchor": "a", "positive": ["b", "c"], "id": 1}, {"anchor": "d", "positive": ["e"], "id": 2}]
    assert other_columns(written(tmp_path / "a.jsonl", rows)) == other_columns(Dataset.from_list(rows))
    assert other_columns(tmp_path / "a.jsonl") == [{"id": 1}, {"id": 1}, {"id": 2}]


def test_a_name_that_the_mapping_gives_away_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"question": "a", "positive": "b", "rank": 1}, {"question": "c", "positive": "d", "rank": 2, "anchor": "e"}]
    found = other_columns(written(tmp_path / "a.jsonl", rows), columns={"anchor": "question", "label": "rank"})
    assert found == [{"label": 1}, {"label": 2}]
    assert "the column 'anchor' is left out" in caplog.text


def test_without_any(tmp_path: Path) -> None:
    assert other_columns(Dataset.from_list([{"text": "a", "label": 1}] * 2)) == [{}, {}]
