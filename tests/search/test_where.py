"""Conditions on the columns of a corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nearfar.search.index as index_module
import nearfar.search.where as where_module
from nearfar.data import write_jsonl
from nearfar.data.corpus import read_corpus
from nearfar.errors import InputError
from nearfar.search import SearchIndex, open_or_build
from nearfar.search.where import Condition, parse_conditions

ROWS = [
    {"text": f"the {animal} of {year}", "animal": animal, "year": year, "wild": animal != "cat"}
    for year in range(2000, 2030)
    for animal in ("cat", "lion", "sea lion")
]


@pytest.fixture
def index(tiny_model, tmp_path: Path) -> SearchIndex:
    corpus = tmp_path / "texts.jsonl"
    write_jsonl(ROWS, corpus)
    return open_or_build(tiny_model, corpus, lambda: read_corpus(corpus), tmp_path / "index")


def test_the_form_of_a_condition() -> None:
    assert parse_conditions(["a=b", "x >= 3", "name != sea lion", "q=a=b", "empty="]) == [
        Condition("a", "=", "b"),
        Condition("x", ">=", "3"),
        Condition("name", "!=", "sea lion"),
        Condition("q", "=", "a=b"),
        Condition("empty", "=", ""),
    ]
    for wrong in ("lang", "=en", ""):
        with pytest.raises(InputError, match="COLUMN=VALUE"):
            parse_conditions([wrong])


@pytest.mark.parametrize(
    ("where", "count"),
    [
        (["animal=sea lion"], 30),
        (["animal!=sea lion"], 60),
        (["year>=2028"], 6),
        (["year<2001", "wild=true"], 2),
        (["year=2005"], 3),
        (["wild!=true"], 30),
        (["animal=dog"], 0),
    ],
)
def test_what_is_met(index: SearchIndex, where: list[str], count: int) -> None:
    allowed = index.allowed(where)
    assert allowed.sum() == count
    hits = index.search("the lion", 100, where=where)
    assert len(hits) == count
    assert {int(hit.id) - 1 for hit in hits} == set(np.flatnonzero(allowed).tolist())


def test_the_order_is_that_of_a_search_without_conditions(index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    every = [hit.id for hit in index.search("the lion", 90) if ROWS[int(hit.id) - 1]["wild"]]
    assert [hit.id for hit in index.search("the lion", 10, where=["wild=true"])] == every[:10]
    # By the graph, which knows no conditions: more is read until there is enough.
    monkeypatch.setattr(index_module, "COMPARE_BELOW", 0)
    assert [hit.id for hit in index.search("the lion", 10, where=["wild=true"])] == every[:10]
    assert len(index.search("the lion", 10, where=["year=2005"])) == 3


def test_columns_are_read_when_they_are_asked_for(index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(where_module, "checked", opened.append)
    for _ in range(3):
        index.allowed(["year=2005"])
    assert len(opened) == 1  # checksums are compared when the file is opened, and not for each search
    assert index.fields(["animal", "year"]).column_names == ["animal", "year"]
    assert index.fields(["year"]).num_rows == len(ROWS)


def test_what_is_refused(index: SearchIndex, tmp_path: Path) -> None:
    for where, said in (
        (["month=5"], "month: no such column"),
        (["animal>3"], "compares numbers"),
        (["year=soon"], "expected a number, got 'soon'"),
        (["wild>true"], "true or false"),
    ):
        with pytest.raises(InputError, match=said):
            index.search("the cat", where=where)
    corpus = tmp_path / "texts.jsonl"
    corpus.write_text(corpus.read_text().replace("2005", "2006"))
    with pytest.raises(InputError, match="has changed"):
        index.search("the cat", where=["text=the cat of 2005"])


def test_numbers_in_a_csv_file(tiny_model, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.csv"
    corpus.write_text("text,year\nthe cat,2001\nthe dog,\nthe bird,1999\n")
    index = open_or_build(tiny_model, corpus, lambda: read_corpus(corpus), tmp_path / "index")
    assert index.allowed(["year>2000"]).tolist() == [True, False, False]
    assert index.allowed(["year=1999"]).tolist() == [False, False, True]


def test_the_command_says_that_nothing_matches(tiny_model_folder: Path, tmp_path: Path, capsys) -> None:
    from nearfar.cli.app import run

    (tmp_path / "texts.jsonl").write_text('{"text": "the cat", "year": 2005}\n{"text": "the dog", "year": 2006}\n')
    command = ["search", str(tiny_model_folder), str(tmp_path / "texts.jsonl"), "the cat", "--where"]
    assert run([*command, "year=1999"]) == 0
    ended = capsys.readouterr()
    assert ended.out == ""
    assert ended.err.endswith("no document matches --where\n")
    assert run([*command, "year=2006"]) == 0
    assert "no document" not in capsys.readouterr().err
