"""Lists of positives and negatives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data import load
from nearfar.errors import InputError


def written(folder: Path, rows: list[dict[str, Any]], suffix: str) -> Path:
    file = folder / f"x{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif suffix == ".json":
        file.write_text(json.dumps(rows))
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_lists_of_negatives_become_columns(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        {"query": "a", "positive": "b", "negatives": ["n1", "n2", "n3"]},
        {"query": "c", "positive": "d", "negatives": ["m1", "m2"]},
    ]
    file = written(tmp_path, rows, suffix)
    found = load(file, columns={"anchor": "query", "negative": "negatives"})
    assert found.to_list() == [
        {"anchor": "a", "positive": "b", "negative_1": "n1", "negative_2": "n2", "negative_3": "n3"},
        {"anchor": "c", "positive": "d", "negative_1": "m1", "negative_2": "m2", "negative_3": "m1"},
    ]
    assert "1 rows have fewer than 3 negatives; theirs are repeated" in caplog.text


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_rows_of_flagembedding(tmp_path: Path, suffix: str) -> None:
    rows = [{"query": "a", "pos": ["b", "c"], "neg": ["n"]}, {"query": "d", "pos": ["e"], "neg": ["m"]}]
    file = written(tmp_path, rows, suffix)
    with pytest.raises(InputError) as caught:
        load(file)
    assert caught.value.remedy == "map them with --columns anchor=query,positive=pos,negative=neg"
    found = load(file, columns={"anchor": "query", "positive": "pos", "negative": "neg"})
    assert found.to_list() == [
        {"anchor": "a", "positive": "b", "negative": "n"},
        {"anchor": "a", "positive": "c", "negative": "n"},
        {"anchor": "d", "positive": "e", "negative": "m"},
    ]


def test_lists_beside_single_columns_and_over_many_blocks(tmp_path: Path) -> None:
    rows = [{"anchor": f"a{i}", "positive": "b", "negative": [f"n{i}"], "negative_1": f"k{i}"} for i in range(20_000)]
    found = load(written(tmp_path, rows, ".jsonl"))
    assert found.column_names == ["anchor", "positive", "negative_2", "negative_1"]
    assert found[19_999] == {"anchor": "a19999", "positive": "b", "negative_2": "n19999", "negative_1": "k19999"}


@pytest.mark.parametrize(
    ("second", "field", "piece"),
    [
        ({"negative": []}, "negative", "empty list"),
        ({"negative": "n"}, "negative", "expected a list of strings, got a string"),
        ({"negative": ["n", " "]}, "negative[1]", "white space"),
        ({"negative": None}, "negative", "is null"),
        ({"negative": ["n"], "anchor": ["a"]}, "anchor", "give one text per row"),
    ],
)
def test_mistakes_in_lists(mistake: Callable[..., InputError], second: dict[str, Any], field: str, piece: str) -> None:
    rows = [{"anchor": "a", "positive": "b", "negative": ["n"]}, {"anchor": "a", "positive": "b", **second}]
    error = mistake("x.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert (error.line, error.field) == (2, field)
    assert piece in str(error)


def test_a_list_in_a_numbered_column_names_the_columns_for_several(mistake: Callable[..., InputError]) -> None:
    error = mistake("x.jsonl", '{"anchor": "a", "positive": "b", "negative_1": ["n", "m"]}\n')
    assert "negative_1, negative_2" in str(error)


@pytest.mark.parametrize("written_list", ["['n', 'm']", '["n"]'])
def test_a_list_written_as_text_is_refused_in_csv(mistake: Callable[..., InputError], written_list: str) -> None:
    cell = '"' + written_list.replace('"', '""') + '"'
    error = mistake("x.csv", f"anchor,positive,negative\na,b,{cell}\n")
    assert (error.line, error.field) == (2, "negative")
    assert ".jsonl" in str(error.remedy)
