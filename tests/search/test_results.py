"""Many queries from a file into a file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nearfar.cli.app import run
from nearfar.data import write_jsonl
from search.helpers import CORPUS


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_jsonl([{"text": text} for text in CORPUS], tmp_path / "texts.jsonl")
    write_jsonl([{"_id": f"q{n}", "text": text} for n, text in enumerate(CORPUS[:5])], tmp_path / "queries.jsonl")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def searched(model: Path, *arguments: str) -> int:
    return run(["search", str(model), "texts.jsonl", *arguments])


def test_rows_and_runs(files: Path, tiny_model_folder: Path, capsys) -> None:
    base = ["--queries", "queries.jsonl", "-k", "3", "--out"]
    assert searched(tiny_model_folder, *base, "hits.jsonl") == 0
    rows = [json.loads(line) for line in (files / "hits.jsonl").read_text().splitlines()]
    assert [row["query_id"] for row in rows] == ["q0", "q1", "q2", "q3", "q4"]
    assert all(row["hits"][0]["text"] == row["query"] and len(row["hits"]) == 3 for row in rows)
    assert searched(tiny_model_folder, *base, "hits.parquet", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["queries"] == 5
    assert pq.read_table(files / "hits.parquet").to_pylist() == rows
    assert searched(tiny_model_folder, *base, "hits.trec") == 0
    lines = [line.split() for line in (files / "hits.trec").read_text().splitlines()]
    wanted = [(row["query_id"], hit["id"], hit["rank"]) for row in rows for hit in row["hits"]]
    assert [(line[0], line[2], int(line[3])) for line in lines] == wanted
    assert {(line[1], line[5], len(line)) for line in lines} == {("Q0", "nearfar", 6)}


def test_one_query_is_searched_as_among_many(files: Path, tiny_model_folder: Path, capsys) -> None:
    assert searched(tiny_model_folder, "--queries", "queries.jsonl", "-k", "3", "--out", "hits.jsonl") == 0
    capsys.readouterr()
    assert searched(tiny_model_folder, CORPUS[0], "-k", "3", "--json") == 0
    alone = json.loads(capsys.readouterr().out)["hits"]
    among = json.loads((files / "hits.jsonl").read_text().splitlines()[0])["hits"]
    assert [hit["id"] for hit in alone] == [hit["id"] for hit in among]
    assert [hit["score"] for hit in alone] == pytest.approx([hit["score"] for hit in among], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "query"),
        (["the cat", "--queries", "queries.jsonl", "--out", "x.jsonl"], "--queries"),
        (["--queries", "queries.jsonl"], "--out"),
        (["the cat", "--out", "x.jsonl"], "--out"),
        (["--queries", "queries.jsonl", "--out", "x.txt"], ".trec"),
        (["--queries", "queries.jsonl", "--out", "texts.jsonl"], "texts.jsonl"),
        (["the cat", "--where", "words"], "COLUMN=VALUE"),
    ],
)
def test_what_is_refused(files: Path, tiny_model_folder: Path, arguments: list[str], said: str, capsys) -> None:
    assert searched(tiny_model_folder, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (files / "texts.jsonl.index").exists()


@pytest.mark.parametrize("name", ["hits.jsonl", "hits.trec"])
def test_what_a_killed_search_left_is_removed(files: Path, tiny_model_folder: Path, name: str) -> None:
    (files / f".{name}.999999.part").touch()
    (files / f".{name}.lock").touch()
    assert searched(tiny_model_folder, "--queries", "queries.jsonl", "--out", name) == 0
    assert not [path.name for path in files.iterdir() if path.name.startswith(".")]
