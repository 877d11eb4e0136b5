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
        ("--guide tiny", "--guide: "),
        ("--guide nope/none --max-score 1", "--guide: "),
        ("--cross-encoder ./nowhere --max-score 1", "--cross-encoder: "),
        ("--range-min 5 --range-max 6", "--range-max: "),
        ("--max-score -1", "--num-negatives: "),
        ("--max-score 0.2 --min-score 0.8", "--min-score: no score is at least 0.8 and at most 0.2"),
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


def test_a_corpus_without_ids_is_rows_of_texts(files: Path, nearfar: Nearfar) -> None:
    (files / "corpus.jsonl").write_text("\n".join(json.dumps({"text": f"the {word} sits"}) for word in WORDS))
    found = nearfar(*shlex.split("mine pairs.jsonl --corpus corpus.jsonl --model tiny --out out.jsonl --json")).json
    assert (found["documents"], found["negatives"]) == (20, 3 * found["written"])


def test_options_of_a_corpus_require_one(files: Path, nearfar: Nearfar) -> None:
    shown = nearfar(*shlex.split("mine pairs.jsonl --out out.jsonl --model tiny --index somewhere"))
    assert shown.code == 2
    assert "--index" in shown.err
