"""`nearfar predict`."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch

import nearfar as package
from nearfar.data import write_jsonl
from nearfar.kinds.classifier import Classifier
from nearfar.models import load
from nearfar.models.label_vectors import LabelVectors

from .conftest import NOUNS, Nearfar

SETTINGS = {"words": 0, "max_steps": 4, "batch_size": 16, "negatives": 8, "width": 8, "hidden": 8, "skip": 2}


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of `cless` of few steps."""
    folder = tmp_path_factory.mktemp("cless")
    rows = [{"text": f"the {a} and a {b}", "labels": [a, b]} for a in NOUNS for b in NOUNS if a != b]
    write_jsonl(rows, folder / "rows.jsonl")
    package.train("cless", folder / "rows.jsonl", out=folder / "run", **SETTINGS)
    return folder / "run" / "model"


@pytest.fixture
def at_work(workspace: Path, matcher: Path) -> Path:
    shutil.copytree(matcher, workspace / "matcher")
    (workspace / "labels.txt").write_text("cat\ndog\nnever seen\n")
    rows = [{"text": "x", "labels": ["cat", "dog"]}, {"text": "y", "labels": ["dog"]}]
    write_jsonl(rows, workspace / "counted.jsonl")
    return workspace


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_label_texts_for_every_row(at_work: Path, nearfar: Nearfar) -> None:
    texts = [row["text"] for row in read(at_work / "sentences.jsonl")]
    ended = nearfar(*shlex.split("predict matcher sentences.jsonl --labels labels.txt --top 2 --json"))
    assert ended.json == {"out": "predictions.jsonl", "rows": len(texts), "labels": 3, "top": 2}
    assert "predict:" in ended.err
    labels = ["cat", "dog", "never seen"]
    assert read(at_work / "predictions.jsonl") == package.predict("matcher", texts, labels, top=2)
    for calibrate, counts in (("training", "training"), ("counted.jsonl", {"cat": 1, "dog": 2})):
        command = f"predict matcher sentences.jsonl --labels labels.txt --calibrate {calibrate} --out new/p.jsonl"
        ended = nearfar(*shlex.split(command))
        assert (ended.code, ended.out) == (0, f"{len(texts)} rows, 3 of 3 labels each, in new/p.jsonl\n")
        assert read(at_work / "new" / "p.jsonl") == package.predict("matcher", texts, labels, calibrate=counts)
    assert not list(at_work.rglob(".*"))


def test_a_classifier_has_labels_of_its_own(at_work: Path, nearfar: Nearfar) -> None:
    head = LabelVectors(32, temperature=0.1)
    head.add(["happy", "sad"], torch.eye(32)[:2])
    Classifier(load("tiny", device="cpu"), head).save(at_work / "classifier")
    assert nearfar("predict", "classifier", "labelled.jsonl").code == 0
    assert all(sorted(row["labels"]) == ["happy", "sad"] for row in read(at_work / "predictions.jsonl"))
    refused = nearfar(*shlex.split("predict classifier labelled.jsonl --labels labels.txt"))
    assert refused.code == 2
    assert "labels" in refused.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("nowhere sentences.jsonl --labels labels.txt", "nowhere"),
        ("matcher sentences.jsonl", "--labels"),
        ("tiny sentences.jsonl --labels labels.txt", "model: "),
        ("matcher nowhere.jsonl --labels labels.txt", "nowhere.jsonl: "),
        ("matcher sentences.jsonl --labels nowhere.txt", "nowhere.txt: "),
        ("matcher sentences.jsonl --labels twice.txt", "twice.txt:2: "),
        ("matcher pairs.jsonl --labels labels.txt", "pairs.jsonl: "),
        ("matcher sentences.jsonl --labels labels.txt --calibrate sts.jsonl", "sts.jsonl: "),
        ("matcher sentences.jsonl --labels labels.txt --out p.csv", "p.csv: "),
        ("matcher sentences.jsonl --labels labels.txt --top 0", "--top"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(
    at_work: Path, nearfar: Nearfar, arguments: str, named: str
) -> None:
    (at_work / "twice.txt").write_text("cat\ncat\n")
    ended = nearfar("predict", *shlex.split(arguments))
    assert (ended.code, ended.out) == (2, "")
    assert named in ended.err
    assert ended.err.count("\n") == 1, ended.err
    assert not list(at_work.glob("p*.jsonl.*"))
    assert not (at_work / "predictions.jsonl").exists()
