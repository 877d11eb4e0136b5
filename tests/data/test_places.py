"""The line that a row stands on."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from nearfar.data import load
from nearfar.data.places import place_name, places


def test_lines_of_jsonl_and_csv(tmp_path: Path) -> None:
    jsonl = tmp_path / "rows.jsonl.gz"
    with gzip.open(jsonl, "wt") as file:
        file.write('{"text": "a"}\n\n{"text": "b"}\n{"text": "c"}\n')
    found = places(jsonl)
    assert found.numbers.tolist() == [1, 3, 4]
    assert found.at(1) == {"file": str(jsonl), "line": 3}
    assert place_name(found.at(2)) == "rows.jsonl.gz:4"
    csv = tmp_path / "rows.csv"
    csv.write_text('text,label\n"one\nand a half",x\ntwo,y\n')
    assert load(csv)["text"][:] == ["one\nand a half", "two"]
    assert places(csv).numbers.tolist() == [2, 4]


def test_several_files_and_rows_without_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    (tmp_path / "b.jsonl").write_text('\n{"text": "c"}\n')
    found = places(tmp_path)
    assert [place_name(found.at(row)) for row in range(len(found))] == ["a.jsonl:1", "a.jsonl:2", "b.jsonl:2"]
    parquet = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["a", "b"]}), parquet)
    assert place_name(places(parquet).at(1)) == "rows.parquet row 2"
    assert places(Dataset.from_dict({"text": ["a", "b", "c"]})).numbers.tolist() == [1, 2, 3]
    assert place_name({"kind": "document", "id": "d7"}) == "document d7"


def test_the_files_of_a_folder_without_labels_are_rows(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    found = places(tmp_path)
    assert len(found) == 2
    assert found.at(1) == {"file": str(tmp_path), "row": 2}
