"""`nearfar compare`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from jobs_here import jobs_here

from .conftest import NOUNS, Nearfar, jsonl

SMALL = "--set max_steps=2 --set batch_size=4 --model tiny --seeds 1"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs in this process; real ones are tested in tests/comparison."""
    jobs_here(monkeypatch)


@pytest.fixture
def rows(workspace: Path) -> Path:
    """Pairs to train on and others to measure on."""
    found = [{"anchor": f"the {a} and the {b}", "positive": f"{b} with {a}"} for a in NOUNS for b in NOUNS if a != b]
    (workspace / "train.jsonl").write_text(jsonl(found[:30]))
    (workspace / "test.jsonl").write_text(jsonl(found[30:]))
    return workspace


@pytest.mark.usefixtures("here")
def test_text_and_json(rows: Path, nearfar: Nearfar):
    asked = f"compare infonce simcse dse matryoshka_2d --data train.jsonl --eval test.jsonl {SMALL}"
    shown = nearfar(*shlex.split(asked))
    assert shown.code == 0, shown
    *_, recommendation, verdicts, model, report = shown.out.splitlines()
    assert report == f"report  {Path('runs/compare/report.html')}"
    assert "Holm" in shown.out
    assert all(name in shown.out for name in ("infonce", "simcse", "base"))
    assert "dse: not compared, needs scores (sentence1, sentence2, score)" in shown.err
    assert "matryoshka_2d: failed with seed 0: " in shown.err
    found = nearfar(*shlex.split(f"{asked} --resume --json")).json
    assert (found["recommendation"], found["verdicts"]) == (recommendation, verdicts)
    assert model == f"model   {found['model']}"
    assert found["not_compared"] == [{"recipe": "dse", "reason": "needs scores (sentence1, sentence2, score)"}]
    assert [each["recipe"] for each in found["failed"]] == ["matryoshka_2d"]
    assert [row["rank"] for row in found["ranking"]] == [1, 2, 3]
    metrics = json.loads((rows / "runs/compare/metrics.json").read_text("utf-8"))
    assert found["ranking"] == metrics["ranking"]


@pytest.mark.usefixtures("here")
def test_bad_input(rows: Path, nearfar: Nearfar):
    for arguments, words in (
        ("infonce --data pairs.jsonl --eval heldout.jsonl", ("heldout.jsonl", "training rows", "--drop-leaks")),
        ("infonce --data train.jsonl --eval train.jsonl", ("train.jsonl", "all evaluation rows")),
        ("dse --data train.jsonl", ("dse needs scores",)),
        ("infonce --data sentences.jsonl --eval test.jsonl", ("infonce needs pairs",)),
        ("--data sentences.jsonl", ("sentences.jsonl", "--eval")),
        ("infonce --data train.jsonl --eval test.jsonl --budget x", ("--budget",)),
        ("infonce --data train.jsonl --eval-columns anchor=a", ("--eval-columns", "--eval")),
        ("infonce --data train.jsonl --resume", ("--resume",)),
        ("infonce --data train.jsonl --variant test.jsonl", ("--variant", "NAME=FILE")),
        ("infonce --data train.jsonl --variant a=test.jsonl --variant a=train.jsonl", ("--variant", "'a'", "twice")),
        ("infonce --data train.jsonl --variant a/b=test.jsonl", ("--variant", "'a/b'")),
        ("infonce --data train.jsonl --variant a=none.jsonl --eval test.jsonl", ("none.jsonl",)),
        ("infonce --data train.jsonl --variant a=sentences.jsonl --eval test.jsonl", ("variant a", "needs pairs")),
        ("infonce --data train.jsonl --variant a=train.jsonl --eval test.jsonl --baseline infonce+b", ("--baseline",)),
        ("infonce --data train.jsonl --variant a=test.jsonl --eval test.jsonl", ("test.jsonl", "variant a", "--eval")),
        ("infonce", ("--data",)),
    ):
        ended = nearfar("compare", *shlex.split(arguments), "--model", "tiny")
        assert (ended.code, ended.out) == (2, ""), (arguments, ended)
        assert ended.err.count("\n") == 1, ended.err
        assert all(word in ended.err for word in words), ended.err
    assert not (rows / "runs").exists()


@pytest.mark.usefixtures("here")
def test_variants(rows: Path, nearfar: Nearfar):
    """Rows with negatives beside pairs, of which some are held out."""
    given = [json.loads(line) for line in (rows / "train.jsonl").read_text().splitlines()]
    (rows / "mined.jsonl").write_text(jsonl([{**row, "negative": f"no {i}"} for i, row in enumerate(given)]))
    asked = f"compare infonce --data train.jsonl --variant mined=mined.jsonl {SMALL}"
    shown = nearfar(*shlex.split(asked))
    assert shown.code == 0, shown
    assert "infonce+mined" in shown.out
    found = nearfar(*shlex.split(f"{asked} --resume --json")).json
    assert {row["name"] for row in found["ranking"]} == {"base", "infonce", "infonce+mined"}
    mined = found["variants"]["mined"]
    assert mined["training"] == found["rows"]["training"]
    assert mined["rows_with_held_out_texts"] == len(given) - mined["training"] > 0
    assert f"{mined['rows_with_held_out_texts']} rows were removed" in shown.err


@pytest.mark.usefixtures("here")
def test_a_search(rows: Path, nearfar: Nearfar):
    asked = f"compare infonce --data train.jsonl --eval test.jsonl {SMALL} --held-out 0.4"
    asked += " --search learning_rate=1e-4,1e-3 --search lora_rank=0,2"
    shown = nearfar(*shlex.split(asked))
    assert shown.code == 0, shown
    found = nearfar(*shlex.split(f"{asked} --resume --json")).json
    assert len(found["configurations"]) == 4
    assert all(name in shown.out for name in found["configurations"])
    assert len(found["rungs"]) == 2
    assert {found["winner"], found["cheapest"]} <= {row["name"] for row in found["validation"]}
    assert found["winner"] in shown.out
    base = next(row for row in found["validation"] if row["name"] == "base")
    assert base["cost"]["trained"] == 0
