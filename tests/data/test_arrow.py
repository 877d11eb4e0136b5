"""Parquet files, and rows that outgrow memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
