"""Variants of the training rows, and what they may share with evaluation and validation rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from nearfar.comparison.prepared import Prepared, prepare, training_in, with_validation, write_rows
from nearfar.comparison.request import Request
from nearfar.data import load, write_jsonl
from nearfar.errors import InputError

COUNT = 60


def pairs(start: int, stop: int) -> Dataset:
    numbers = range(start, stop)
    return Dataset.from_dict({"anchor": [f"q{i}" for i in numbers], "positive": [f"a{i}" for i in numbers]})


def triplets(negatives: list[str]) -> Dataset:
    return pairs(0, len(negatives)).add_column("negative", negatives)  # pyright: ignore[reportCallIssue]


def prepared(variant: Any, evaluate_on: Any = None, **more: Any) -> Prepared:
    return prepare(Request([], pairs(0, COUNT), evaluate_on, **{"variants": {"mined": variant}, **more}))


def texts(rows: Any, *, negatives: bool = True) -> set[str]:
    return {text for name in rows.column_names if negatives or name != "negative" for text in rows[name][:]}


def test_evaluation_rows_are_refused_or_removed() -> None:
    mined = triplets(["n"] * 40)
    with pytest.raises(InputError) as caught:
        prepared(mined, pairs(30, 36), drop_leaks=False)
    assert caught.value.field == "--eval"
    clean = pairs(100, 120)
    found = prepared(mined, clean).variants["mined"]
    assert (len(found.rows), found.dropped, found.shared) == (40, 0, 0)
    # Only the variant has rows of this one.
    only = pairs(COUNT, COUNT + 5)
    more = pairs(COUNT - 20, COUNT + 3)
    with pytest.raises(InputError, match="mined") as caught:
        prepared(more, only)
    assert caught.value.field == "--eval"
    both = prepared(more, only, drop_leaks=True)
    assert (both.dropped, both.variants["mined"].dropped, len(both.variants["mined"].rows)) == (0, 3, 20)
    assert both.variants["mined"].leaks.same == []
    with pytest.raises(InputError) as caught:
        prepared(only, only, drop_leaks=True)
    assert caught.value.field == "--drop-leaks"


def test_the_split_is_the_same_with_a_variant() -> None:
    alone, beside = prepared(pairs(0, 9), variants={}), prepared(triplets(["n"] * COUNT))
    assert alone.sha256 == beside.sha256
    assert alone.variants == {}


def test_rows_with_a_held_out_text_are_removed_in_any_column() -> None:
    """Each negative is the positive of the next row but one row: the chains are short, so that negatives count."""
    found = prepared(triplets([f"a{i + 1 - 2 * (i % 2)}" for i in range(COUNT)]))
    held_out, variant = texts(found.held_out), found.variants["mined"]
    assert not texts(variant.rows) & held_out
    assert len(variant.rows) + variant.shared == COUNT
    assert variant.shared > len(found.held_out)
    assert (variant.leaks.seen, variant.leaks.shared) == ([], [])


def test_negatives_that_connect_all_rows_are_ignored_as_by_the_split() -> None:
    """As mined negatives do: only rows of held-out anchors and positives are removed."""
    mined = triplets([f"a{(i + 7) % COUNT}" for i in range(COUNT)])
    found = prepared(mined)
    variant = found.variants["mined"]
    assert found.split is not None
    assert variant.shared == len(found.held_out)
    assert variant.rows["anchor"][:] == found.training["anchor"][:]
    assert not texts(variant.rows, negatives=False) & texts(found.held_out)
    # That evaluation texts are in the training rows is said.
    assert variant.leaks.shared
    alone = prepare(Request([], mined))
    assert alone.split is not None
    assert not alone.split.by_negatives


def test_nothing_is_left() -> None:
    first = prepared(pairs(0, COUNT)).held_out
    with pytest.raises(InputError) as caught:
        prepared(first)
    assert caught.value.field == "--variant"


def test_validation_rows_are_in_no_variant() -> None:
    request = Request([], pairs(0, COUNT), variants={"mined": triplets(["n"] * COUNT)})
    before = prepare(request)
    choosing, measuring = with_validation(before, request)
    rows, apart = choosing.variants["mined"].rows, texts(choosing.held_out) | texts(before.held_out)
    assert rows["anchor"][:] == measuring.variants["mined"].rows["anchor"][:] == choosing.training["anchor"][:]
    assert not texts(rows) & apart
    assert choosing.variants["mined"].shared == COUNT - len(rows)
    given = Request([], pairs(0, COUNT), validate_on=pairs(200, 220), variants={"mined": pairs(190, 205)})
    with pytest.raises(InputError) as caught:
        with_validation(prepare(given), given)
    assert caught.value.field == "--validation"


def test_columns_are_those_of_all_datasets_where_they_fit_or_its_own(tmp_path: Path) -> None:
    write_jsonl([{"q": f"q{i}", "positive": f"a{i}"} for i in range(COUNT)], tmp_path / "rows.jsonl")
    write_jsonl([{"query": f"q{i}", "positive": f"a{i}"} for i in range(COUNT)], tmp_path / "other.jsonl")

    def of(columns: Any, variant: Any) -> Prepared:
        return prepare(Request([], tmp_path / "rows.jsonl", variants={"mined": variant}, columns=columns))

    expected = of({"anchor": "q"}, pairs(0, COUNT)).variants["mined"].rows["anchor"][:]
    for columns, variant in (
        ({"anchor": "q"}, tmp_path / "rows.jsonl"),
        ([{"anchor": "q"}], tmp_path / "rows.jsonl"),
        ([{"anchor": "q"}, {"anchor": "query"}], tmp_path / "other.jsonl"),
    ):
        assert of(columns, variant).variants["mined"].rows["anchor"][:] == expected
    for columns in ([{"anchor": "q"}, {"anchor": "q"}], [{"anchor": "q"}] * 3):
        with pytest.raises(InputError):
            of(columns, tmp_path / "other.jsonl")


def test_written_beside_the_other_rows(tmp_path: Path) -> None:
    found = prepared(triplets(["n"] * COUNT))
    write_rows(found, tmp_path)
    assert load(training_in(tmp_path, "mined")).column_names == ["anchor", "positive", "negative"]
    assert load(training_in(tmp_path)).column_names == ["anchor", "positive"]
    assert "n" in load(training_in(tmp_path, "mined", texts=True))["text"][:]
