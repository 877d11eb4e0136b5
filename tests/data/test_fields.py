"""Columns that no schema has."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data import write_jsonl
from nearfar.data.fields import read_fields
from nearfar.errors import InputError


def test_types_and_missing_values(tmp_path: Path) -> None:
    rows = [{"text": "a", "n": 1, "x": 1}, {"text": "b", "x": 0.5}, {"text": "c", "n": 3, "x": None}]
    write_jsonl(rows, tmp_path / "rows.jsonl")
    table = read_fields(tmp_path / "rows.jsonl", ["x", "n"])
    assert table.column_names == ["x", "n"]
    assert table.column("n").to_pylist() == [1, None, 3]
    assert table.column("x").to_pylist() == [1.0, 0.5, None]


def test_parquet_and_mapped_names(tmp_path: Path) -> None:
    coded = pa.array(["de", "en", "de"]).dictionary_encode()
    pq.write_table(pa.table({"body": ["a", "b", "c"], "lang": coded}), tmp_path / "rows.parquet")
    table = read_fields(tmp_path / "rows.parquet", ["lang", "text"], {"text": "body"})
    assert table.to_pydict() == {"lang": ["de", "en", "de"], "text": ["a", "b", "c"]}


def test_what_is_refused(tmp_path: Path) -> None:
    write_jsonl(
        [{"text": "a", "tags": ["x"], "mixed": 1}, {"text": "b", "tags": [], "mixed": "two"}], tmp_path / "r.jsonl"
    )
    for name, said in (("none", "no such column"), ("tags", "expected texts or numbers"), ("mixed", "type")):
        with pytest.raises(InputError, match=said):
            read_fields(tmp_path / "r.jsonl", [name])
