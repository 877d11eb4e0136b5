"""`nearfar mine`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from .conftest import Nearfar

WORDS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "loan", "card")


@pytest.fixture
def files(workspace: Path) -> Path:
    pairs = [json.dumps({"anchor": f"the {word}", "positive": f"a {word} today"}) for word in WORDS]
    (workspace / "pairs.jsonl").write_text("\n".join(pairs))
    corpus = [json.dumps({"body": f"the {a} sits under a {b}"}) for a in WORDS for b in WORDS if a != b]
    (workspace / "documents.jsonl").write_text("\n".join(corpus))
    return workspace


ASKED = "mine pairs.jsonl --corpus documents.jsonl --corpus-columns text=body --model tiny --out out.jsonl"


def test_rows_a_list_of_dropped_candidates_and_an_index_to_search(files: Path, nearfar: Nearfar) -> None:
    shown = nearfar(*shlex.split(f"{ASKED} --relative-margin 0.1 --num-negatives 2 --too-few fill"))
    assert shown.code == 0, shown
    assert "likely false: 0 of" in shown.out
    assert "--data pairs.jsonl --variant mined=out.jsonl" in shown.err
    rows = [json.loads(line) for line in (files / "out.jsonl").read_text().splitlines()]
    assert list(rows[0]) == ["anchor", "positive", "negative_1", "negative_2"]
    found = nearfar(*shlex.split(f"{ASKED} --relative-margin 0.1 --num-negatives 2 --too-few fill --json")).json
    listed = (files / found["dropped_file"]).read_text().splitlines()
    assert found["dropped"]["relative_margin"] == len(listed) > 0
    assert found["documents"] == 100
    assert [json.loads(line) for line in (files / "out.jsonl").read_text().splitlines()] == rows
    searched = nearfar("search", "tiny", "documents.jsonl", "the cat", "--columns", "text=body")
    assert "index of" not in searched.err  # the index that was built for mining is used
    assert sorted(path.name for path in files.iterdir() if path.name.startswith(".")) == []


def test_a_judge(files: Path, nearfar: Nearfar) -> None:
    by_guide = nearfar(*shlex.split(f"{ASKED} --guide tiny --absolute-margin 0.1 --too-few fill --json")).json
    alone = nearfar(*shlex.split(f"{ASKED} --absolute-margin 0.1 --too-few fill --json")).json
    assert by_guide["dropped"] == alone["dropped"] != {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--guide tiny --cross-encoder tiny --max-score 1", "--guide"),
        ("--guide tiny", "cross_encoder"),
        ("--range-min 5 --range-max 6", "range_max"),
        ("--max-score -1", "num_negatives"),
        ("--dropped out.csv", "--dropped"),
        ("--dropped out.jsonl", "--dropped"),
        ("--out pairs.jsonl", "--out"),
    ],
)
def test_bad_input(options: str, words: str, files: Path, nearfar: Nearfar) -> None:
    shown = nearfar(*shlex.split(f"{ASKED} {options}"))
    assert shown.code == 2
    assert words in shown.err
    assert not (files / "out.jsonl").exists()


def test_options_of_a_corpus_require_one(files: Path, nearfar: Nearfar) -> None:
    shown = nearfar(*shlex.split("mine pairs.jsonl --out out.jsonl --model tiny --index somewhere"))
    assert shown.code == 2
    assert "--index" in shown.err
