"""A hash of the values of rows."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, concatenate_datasets

from nearfar.data import load
from nearfar.data.fingerprint import fingerprint
from nearfar.data.retrieval import Retrieval
from nearfar.data.stored import as_stored

ROWS = [{"anchor": f"a{number}", "positive": "é"} for number in range(20)]


def test_equal_rows_have_equal_hashes_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "x.parquet")
    whole = Dataset.from_list(ROWS)
    parts = concatenate_datasets([whole.select(range(7)), whole.select(range(7, 20))])
    assert len({fingerprint(rows) for rows in (load(tmp_path / "x.jsonl"), load(tmp_path / "x.parquet"), parts)}) == 1


def test_a_value_a_name_and_the_order_change_the_hash() -> None:
    rows = Dataset.from_list(ROWS)
    changed = [{**row, "positive": "e"} if number == 9 else row for number, row in enumerate(ROWS)]
    others = [Dataset.from_list(changed), rows.rename_column("anchor", "text"), rows.select(range(19, -1, -1))]
    assert len({fingerprint(each) for each in (rows, *others)}) == 4


def test_stored_rows_are_not_decoded() -> None:
    rows = Dataset.from_list(ROWS).with_transform(lambda batch: {"anchor": [1] * len(batch["anchor"])})
    assert rows[0]["anchor"] == 1
    assert as_stored(rows)[0]["anchor"] == "a0"


def test_a_retrieval_dataset_changes_its_hash_with_any_of_its_parts() -> None:
    corpus, queries, relevant = {"d1": "a", "d2": "b"}, {"q1": "c"}, {"q1": {"d1": 1}}
    others = [
        Retrieval({**corpus, "d2": "e"}, queries, relevant),
        Retrieval(corpus, {"q1": "e"}, relevant),
        Retrieval(corpus, queries, {"q1": {"d1": 2}}),
        Retrieval({**corpus, **queries}, {}, relevant),
    ]
    assert fingerprint(Retrieval(corpus, queries, relevant)) == fingerprint(Retrieval({**corpus}, queries, relevant))
    assert len({fingerprint(each) for each in (Retrieval(corpus, queries, relevant), *others)}) == 5
