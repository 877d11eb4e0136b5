"""The recipe from the command line: words, labels, both; what is trained judges labels that it has never seen."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sklearn.metrics import roc_auc_score

import nearfar
from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.recipes import cless

TOPICS = {
    "animal": ["cat", "dog", "horse", "bird", "fish"],
    "food": ["bread", "cheese", "soup", "rice", "cake"],
    "travel": ["train", "ship", "plane", "car", "bus"],
}
FAST = ("batch_size=16", "negatives=8", "width=16", "hidden=16", "learning_rate=0.02", "skip=3")


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """A text about two topics, whose words are in it."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        labels = rng.sample(sorted(TOPICS), 2)
        words = [rng.choice(TOPICS[label]) for label in labels]
        found.append({"text": f"the {words[0]} and the {words[1]} of the {rng.choice(words)}", "labels": labels})
    return found


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_jsonl(rows(128, 0), tmp_path / "train.jsonl")
    write_jsonl(rows(40, 1), tmp_path / "test.jsonl")
    write_jsonl([{"text": row["text"]} for row in rows(128, 0)], tmp_path / "texts.jsonl")
    return tmp_path


def train(files: Path, data: str, *more: str) -> int:
    chosen = dict(option.split("=") for option in (*FAST, *more))
    settings = [part for name, value in chosen.items() for part in ("--set", f"{name}={value}")]
    arguments = ["--data", str(files / data), "--eval", str(files / "test.jsonl"), "--out", str(files / "run")]
    return run(["train", "cless", *arguments, *settings, "--json"])


def test_words_then_labels(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(files, "train.jsonl", "words=4", "epochs=12") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["after"]["task"] == "labels"
    assert found["after"]["metrics"]["ap_macro"] > 0.85 > found["before"]["metrics"]["ap_macro"]
    assert [stage["name"] for stage in found["stages"]] == ["words", "labels"]
    model = nearfar.load(files / "run" / "model")
    scores = model.score_matrix(["the cat and the soup"], ["animal", "food", "travel"])
    assert scores[0, :2].min() > scores[0, 2]
    encoder = SentenceTransformer(str(files / "run" / "model"))
    tower: Any = encoder[0]
    assert tower.sub_modules["query"][0] is tower.sub_modules["document"][0], "one table of words, after loading too"


def test_words_alone_judge_labels_that_were_never_seen(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(files, "texts.jsonl", "words=20", "negatives=16", "learning_rate=0.01") == 0
    json.loads(capsys.readouterr().out)
    model = nearfar.load(files / "run" / "model")
    words = [word for topic in TOPICS.values() for word in topic]
    texts = [row["text"] for row in rows(40, 1)]
    there = np.array([[word in text.split() for word in words] for text in texts])
    scores = model.score_matrix(texts, words)
    assert roc_auc_score(there.ravel(), scores.ravel()) > 0.8


@pytest.mark.parametrize(
    ("more", "stages"),
    [
        ({}, {"words": 4, "labels": 2}),
        ({"words": 0}, {"labels": 2}),
        ({"epochs": 0}, {"words": 4}),
    ],
)
def test_rows_without_labels_are_learned_from_by_their_words(more: dict[str, float], stages: dict[str, int]) -> None:
    texts = ["the cat runs", "a ship sails", "the dog runs", "a ship runs"]
    data = Dataset.from_dict({"text": texts, "labels": [["animal", "runs"], [], [], ["ship"]]})
    plan = cless.prepare(None, data, cless.Options(skip=0, negatives=7, **more))
    assert isinstance(plan.stages, list)
    assert {stage.name: len(stage.rows) for stage in plan.stages} == stages
    counts = plan.model.label_counts
    assert counts.negatives == 7
    seen = ["animal", "runs", "ship"] if "labels" in stages else " ".join(texts).split()
    assert counts.counts == Counter(seen)


def test_labels_that_were_never_seen_are_measured_and_predicted(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(files, "texts.jsonl", "words=2") == 0
    model, test = str(files / "run" / "model"), str(files / "test.jsonl")
    capsys.readouterr()
    assert run(["evaluate", model, "--data", test, "--task", "labels", "--json"]) == 0
    assert {"ap_micro", "ap_macro", "ap_1", "brier"} <= set(json.loads(capsys.readouterr().out)["metrics"])
    (files / "labels.txt").write_text("\n".join(TOPICS))
    out = files / "found.jsonl"
    more = ["--labels", str(files / "labels.txt"), "--calibrate", test, "--top", "2", "--out", str(out)]
    assert run(["predict", model, str(files / "texts.jsonl"), *more]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(found) == 128
    assert all(set(row["labels"]) < set(TOPICS) and len(row["labels"]) == 2 for row in found)


def test_an_encoder_of_its_own(files: Path, tiny_model_folder: Path) -> None:
    found = nearfar.train(
        "cless",
        files / "train.jsonl",
        model=tiny_model_folder,
        out=files / "own",
        words=0,
        max_steps=2,
        batch_size=8,
        negatives=4,
        hidden=8,
    )
    assert found.model.head.config.layers == 0
    assert found.model.score_pairs(["a cat"], ["animal"]).shape == (1,)


@pytest.mark.parametrize(
    ("data", "more", "said"),
    [
        ("texts.jsonl", ("words=0",), "words"),
        ("texts.jsonl", ("skip=500",), "skip"),
        ("train.jsonl", ("matcher=round",), "matcher"),
    ],
)
def test_bad_input_is_one_line(
    files: Path, data: str, more: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(files, data, *more) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err
