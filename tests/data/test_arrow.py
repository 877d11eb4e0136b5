"""Parquet files, and rows that outgrow memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data import load
from nearfar.data._arrow import Gathered, text_lists
from nearfar.errors import InputError


@pytest.mark.parametrize("content", [b"not parquet at all", b""])
def test_a_file_that_is_not_parquet(mistake: Callable[..., InputError], content: bytes) -> None:
    assert "Parquet" in mistake("x.parquet", content).problem


def test_a_truncated_file(tmp_path: Path, mistake: Callable[..., InputError]) -> None:
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "whole.parquet")
    mistake("x.parquet", (tmp_path / "whole.parquet").read_bytes()[:-20])


def test_a_corrupted_page(tmp_path: Path, mistake: Callable[..., InputError]) -> None:
    pq.write_table(pa.table({"text": [f"text {n}" for n in range(5000)]}), tmp_path / "whole.parquet")
    data = bytearray((tmp_path / "whole.parquet").read_bytes())
    data[4:400] = bytes(396)
    mistake("x.parquet", bytes(data))


def test_a_duplicate_column(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, ["text", "text"]), tmp_path / "x.parquet")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "x.parquet")
    assert caught.value.field == "text"


def test_no_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="is empty"):
        load(tmp_path / "x.parquet")


def test_columns_of_lists_of_texts() -> None:
    kinds = {"a": pa.list_(pa.string()), "b": pa.large_list(pa.large_string()), "c": pa.list_(pa.int8())}
    assert text_lists(pa.schema({**kinds, "d": pa.string()})) == ["a", "b"]


def test_rows_beyond_memory_rest_in_a_file(tmp_path: Path) -> None:
    batches = [pa.record_batch({"text": [f"{number} {letter}" for letter in "abc"]}) for number in range(50)]
    small, large = Gathered(), Gathered(memory=200)
    for batch in batches:
        small.add(batch)
        large.add(batch)
    assert small.file is None
    assert large.file is not None
    before = pa.total_allocated_bytes()
    table = large.table()
    assert table.equals(small.table())
    assert pa.total_allocated_bytes() - before < table.nbytes


TEXTS = ["the cat", "two dogs", "the cat"]
KINDS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "large dictionary": pa.dictionary(pa.int8(), pa.large_string()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["text", "label", "negative", "labels"])
def test_texts_of_every_arrow_type(tmp_path: Path, kind: str, column: str) -> None:
    texts = pa.array(TEXTS).cast(KINDS[kind]) if "dictionary" in kind else pa.array(TEXTS, KINDS[kind])
    if column in ("negative", "labels"):
        offsets = pa.array([0, 1, 2, 3], pa.int32())
        texts = pa.ListArray.from_arrays(offsets, texts)
    other = {"negative": {"anchor": TEXTS, "positive": TEXTS}, "text": {}}.get(column, {"text": TEXTS})
    table = pa.table({**other, column: texts})
    pq.write_table(table, tmp_path / "x.parquet")
    found = load(tmp_path / "x.parquet")
    assert found[column][:] == ([[text] for text in TEXTS] if column == "labels" else TEXTS)
    assert str(found.features.arrow_schema.field(column).type) in (
        "string",
        "list<item: string>",
        "list<element: string>",
    )


@pytest.mark.parametrize("kind", ["string_view", "large_string", "dictionary"])
def test_a_mistake_in_a_column_of_another_text_type_has_its_row(tmp_path: Path, kind: str) -> None:
    texts = pa.array(["a", "b", " "]).cast(KINDS[kind])
    pq.write_table(pa.table({"text": texts}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"x\.parquet: text: row 3: "):
        load(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([Decimal("0.25"), Decimal("1.50")]),
        pa.array([Decimal("0.25"), Decimal("1.50")], pa.decimal256(50, 3)),
        pa.array(np.array([0.25, 1.5], np.float16)),
        pa.array([0.25, 1.5]).dictionary_encode(),
    ],
)
def test_scores_of_every_arrow_type(tmp_path: Path, values: pa.Array) -> None:
    pq.write_table(
        pa.table({"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": values}), tmp_path / "x.parquet"
    )
    assert load(tmp_path / "x.parquet")["score"][:] == [0.25, 1.5]
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), values)
    pq.write_table(
        pa.table({"query": ["a", "b"], "candidates": [["c"], ["d"]], "scores": lists}), tmp_path / "y.parquet"
    )
    assert load(tmp_path / "y.parquet")["scores"][:] == [[0.25], [1.5]]


ODD = {
    "dates": pa.array([date(2024, 5, 1)]),
    "durations": pa.array([timedelta(1)]),
    "bytes": pa.array([b"a"]),
    "nulls": pa.nulls(1),
    "structs": pa.array([{"a": 1}]),
    "maps": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    "booleans": pa.array([True]),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    "columns",
    [
        ["text"],
        ["label", "text"],
        ["score", "sentence1", "sentence2"],
        ["labels", "text"],
        ["scores", "query", "candidates"],
        ["negative", "anchor", "positive"],
        ["turns", "dialogue_id"],
        ["dialogue_id", "speaker", "text"],
    ],
)
def test_a_column_of_a_wrong_type_is_named_with_a_remedy(tmp_path: Path, kind: str, columns: list[str]) -> None:
    others = {name: [["a"]] if name == "candidates" else ["a"] for name in columns[1:]}
    pq.write_table(pa.table({columns[0]: ODD[kind], **others}), tmp_path / "x.parquet")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "x.parquet", schema="label texts" if columns[0] == "labels" else None)
    assert str(caught.value.file).endswith("x.parquet")
    assert (caught.value.field or "").startswith(columns[0])
    assert caught.value.remedy
    assert "Arrow" not in type(caught.value).__name__
