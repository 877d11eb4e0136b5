"""`nearfar encode` and `nearfar evaluate` on images and audio."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from nearfar.kinds.classifier import Classifier
from nearfar.models import load
from nearfar.models.label_vectors import LabelVectors
from nearfar.models.towers import two_towers
from nearfar.models.towers.reading import encode_media

from .conftest import Nearfar

COLOURS = {"red": (200, 10, 10), "green": (10, 200, 10), "blue": (10, 10, 200)}
EACH = 8


@pytest.fixture
def towers(workspace: Path, tiny_model_folder: Path) -> Path:
    """The working directory with a model `towers` and `images`, one colour a folder."""
    model = two_towers(tiny_model_folder, image="small-cnn", image_size=16, device="cpu")
    model.save_pretrained(str(workspace / "towers"))
    for name, (r, g, b) in COLOURS.items():
        (workspace / "images" / name).mkdir(parents=True)
        for number in range(EACH):
            Image.new("RGB", (5, 5), (r + number, g, b)).save(workspace / "images" / name / f"{number}.png")
    return workspace


def test_a_folder_of_images_becomes_their_vectors(towers: Path, nearfar: Nearfar) -> None:
    found = nearfar("encode", "towers", "images", "--out", "v.parquet", "--json").json
    assert (found["images"], found["dimension"]) == (24, 32)
    table = pq.read_table(towers / "v.parquet")
    paths = [str(path) for path in sorted(Path("images").rglob("*.png"))]
    assert table["image"].to_pylist() == paths
    expected = encode_media(load(towers / "towers", device="cpu"), paths, "image")
    np.testing.assert_allclose(np.array(table["vector"].to_pylist()), expected, atol=1e-5)
    assert nearfar("encode", "towers", "images/red", "--out", "v.npy").code == 0
    np.testing.assert_allclose(np.load(towers / "v.npy"), expected[-EACH:], atol=1e-5)


def test_of_a_table_one_chooses_images_or_texts(towers: Path, nearfar: Nearfar) -> None:
    rows = [{"image": f"images/{name}/0.png", "text": f"a {name} thing"} for name in COLOURS]
    (towers / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (towers / "files.jsonl").write_text("".join(json.dumps({"image": row["image"]}) + "\n" for row in rows))
    for file, more in (("captions", ()), ("captions", ("--kind", "image")), ("files", ())):
        out = f"{file}{len(more)}.npy"
        assert nearfar("encode", "towers", f"{file}.jsonl", "--out", out, *more).code == 0
    texts, images, files = (np.load(towers / name) for name in ("captions0.npy", "captions2.npy", "files0.npy"))
    np.testing.assert_array_equal(images, files)
    assert np.abs(texts - images).max() > 0.1


def test_labels_of_images_are_predicted(towers: Path, nearfar: Nearfar) -> None:
    head = LabelVectors(32, temperature=0.1)
    head.add(list(COLOURS), torch.eye(32)[:3])
    classifier = Classifier(load("towers", device="cpu"), head)
    classifier.save(towers / "classifier")
    found = nearfar("predict", "classifier", "images", "--top", "1", "--batch-size", "5", "--json").json
    assert found == {"out": "predictions.jsonl", "rows": 24, "labels": 3, "top": 1}
    rows = [json.loads(line) for line in (towers / "predictions.jsonl").read_text().splitlines()]
    paths = [str(path) for path in sorted(Path("images").rglob("*.png"))]
    assert [row["image"] for row in rows] == paths
    assert [row["labels"] for row in rows] == [[label] for label in classifier.predict(paths)]
    refused = nearfar("predict", "classifier", "sentences.jsonl")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "image" in refused.err


def test_what_cannot_be_encoded_is_one_line(towers: Path, nearfar: Nearfar) -> None:
    (towers / "images" / "red" / "broken.png").write_text("not an image")
    for arguments, said in (
        (("towers", "images"), "broken.png: image: is not an image"),
        (("tiny", "images", "--skip-broken"), "the model has only a tower for texts"),
        (("towers", "sentences.jsonl", "--kind", "smell"), "--kind: invalid kind 'smell'"),
        (("towers", "sentences.jsonl", "--kind", "image"), "requires 'image'"),
    ):
        ended = nearfar("encode", *arguments, "--out", "v.npy")
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
        assert not (towers / "v.npy").exists()
    skipped = nearfar("encode", "towers", "images", "--out", "v.npy", "--skip-broken")
    assert "24 vectors" in skipped.out
    assert "skipped 1 of 25 images" in skipped.err


def test_images_are_classified_and_not_the_names_of_their_folders(towers: Path, nearfar: Nearfar) -> None:
    # The names of the folders alone would give every class away; grey images cannot be distinguished.
    for path in (towers / "images").rglob("*.png"):
        Image.new("RGB", (5, 5), (99, 99, 99)).save(path)
    for task, metric in (("classify", "accuracy_logistic"), ("few-shot", "accuracy_1_shot"), ("cluster", "v_measure")):
        arguments = ["evaluate", "towers", "--data", "images", "--task", task, "--json"]
        assert nearfar(*arguments).json["metrics"][metric] < 0.6, task


def test_few_shot_of_texts(workspace: Path, nearfar: Nearfar) -> None:
    found = nearfar("evaluate", "tiny", "--data", "labelled.jsonl", "--task", "few-shot", "--json").json
    assert (found["task"], found["primary"], found["n"]) == ("few-shot", "f1_1_shot", 56)
    assert "1-shot: 8 of 8 labels, means over 10 draws" in found["notes"]
    # Seven rows a label are too few for five examples of each.
    assert "f1_5_shot" not in found["metrics"]
    assert any("2 labels with 10 or more vectors" in note for note in found["notes"])


def test_perplexity_of_a_language_model(workspace: Path, nearfar: Nearfar, tiny_lm_folder: Path) -> None:
    (workspace / "book.txt").write_text("The lighthouse stood.\n\nNobody came.\n" * 40)
    base = ["evaluate", str(tiny_lm_folder), "--data", "book.txt", "--task", "perplexity"]
    found = nearfar(*base, "--json").json
    assert found["metrics"]["perplexity"] == pytest.approx(np.exp(-found["metrics"]["log_probability"]))
    assert found["metrics"]["perplexity"] > 100  # of random weights
    shown = nearfar(*base)
    assert "items are blocks of 256 tokens" in shown.err
    assert "perplexity on 5 items" in shown.out
    for arguments, said in (
        ([*base, "--train", "labelled.jsonl"], "train: the task 'perplexity' does not accept this option"),
        ([base[0], "tiny", *base[2:]], "returns no probabilities of texts"),
        ([*base[:4], "--task", "few-shot"], "returns no vectors of texts"),
    ):
        ended = nearfar(*arguments)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
        assert ended.err.count("\n") == 1
