"""SepCLR from two datasets to a model with two views."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import Dataset, DatasetDict
from PIL import Image
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.models.fingerprint import files_fingerprint
from nearfar.models.views import views_of
from nearfar.recipes import sepclr
from plans import first_stage

NOUNS = ("cat", "dog", "fish", "bird", "tree")
TEXTS = [f"the {a} sits on the {b}" for a in NOUNS for b in NOUNS if a != b]
BACKGROUND = [{"text": text} for text in TEXTS]
TARGET = [
    {"text": f"{text} in the {weather}", "label": weather, "attributes": [number % 3, number / 40]}
    for number, (text, weather) in enumerate((text, weather) for text in TEXTS for weather in ("rain", "snow"))
]
SMALL = ("--set", "batch_size=8", "--set", "max_steps=3", "--set", "dims=6", "--set", "learning_rate=1e-3")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, rows in (("ordinary", BACKGROUND), ("complaints", TARGET)):
        write_jsonl(rows, tmp_path / f"{name}.jsonl")
    return [
        "--data",
        f"target={tmp_path / 'complaints.jsonl'}",
        "--data",
        f"background={tmp_path / 'ordinary.jsonl'}",
    ]


def images(folder: Path, count: int, seed: int, corner: bool) -> None:
    folder.mkdir()
    draw = np.random.default_rng(seed)
    for number in range(count):
        pixels = draw.integers(0, 100, (24, 24, 3), dtype=np.uint8)
        if corner:
            pixels[:8, :8] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_texts_from_the_command_line_to_both_views(files: list[str], tiny_model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(["train", "sepclr", *files, "--model", str(tiny_model_folder), *SMALL, "--out", str(out)]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    for when in ("before", "after"):
        found = metrics["measured"][when]["leakage"]
        assert found["rows"] == "training"
        assert 0 <= found["nats"] <= found["most"] + 1e-9
    assert metrics["drawn"][0]["rows"] == len(BACKGROUND) + len(TARGET)
    recorded = yaml.safe_load((out / "run.yaml").read_text())
    assert recorded["model"]["name"] == str(tiny_model_folder)
    assert recorded["model"]["weights"] == files_fingerprint(tiny_model_folder)
    sets = recorded["data"]["sets"]
    assert {name: each["rows"] for name, each in sets.items()} == {"background": 20, "target": 40}
    vectors = {}
    for view in ("salient", "common"):
        target = tmp_path / f"{view}.npy"
        data = str(tmp_path / "complaints.jsonl")
        assert run(["encode", str(out / "model"), data, "--view", view, "--out", str(target)]) == 0
        vectors[view] = np.load(target)
        plain = SentenceTransformer(str(out / "model" / view), device="cpu")
        texts = [row["text"] for row in TARGET]
        assert np.allclose(plain.encode(texts, normalize_embeddings=True), vectors[view], atol=1e-5)
    assert not np.allclose(vectors["salient"], vectors["common"], atol=1e-3)


def test_folders_of_images(tmp_path: Path) -> None:
    images(tmp_path / "healthy", 10, 0, False)
    images(tmp_path / "ill", 12, 1, True)
    found = nearfar.train(
        "sepclr",
        {"background": tmp_path / "healthy", "target": tmp_path / "ill"},
        out=tmp_path / "run",
        batch_size=8,
        max_steps=2,
        image_size=32,
        dims=4,
    )
    assert found.metrics["drawn"][0]["rows"] == 22
    assert yaml.safe_load((tmp_path / "run/run.yaml").read_text())["model"] == {"name": "small-cnn", "weights": None}
    assert run(["encode", str(tmp_path / "run/model"), str(tmp_path / "ill"), "--out", str(tmp_path / "v.npy")]) == 0
    assert np.load(tmp_path / "v.npy").shape == (12, 4)


def test_what_a_command_refuses(files: list[str], tiny_model_folder: Path, tmp_path: Path, capsys) -> None:
    model = ["--model", str(tiny_model_folder), "--out", str(tmp_path / "run")]
    images(tmp_path / "ill", 3, 0, True)
    mixed = ["--data", f"target={tmp_path / 'ill'}", *files[2:]]
    for arguments, field in (
        (files[:2], "--data"),
        (mixed, "--data"),
        ([*files, "--set", "encoders=shared", "--set", "dims=0"], "dims"),
    ):
        assert run(["train", "sepclr", *arguments, *model]) == 2
        assert f"{field}:" in capsys.readouterr().err
    target = str(tmp_path / "v.npy")
    rows = str(tmp_path / "ordinary.jsonl")
    assert run(["encode", str(tiny_model_folder), rows, "--view", "common", "--out", target]) == 2
    assert "--view:" in capsys.readouterr().err


def test_the_whole_and_a_resumed_run_are_the_same(files: list[str], tiny_model_folder: Path, tmp_path: Path) -> None:
    arguments = [*files, "--model", str(tiny_model_folder), *SMALL[:2], *SMALL[4:]]

    def weights(folder: Path) -> list[str]:
        return [hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.rglob("model/**/*.safetensors"))]

    steps = ["--set", "max_steps=4", "--set", "save_steps=2"]
    for name in ("whole", "again"):
        assert run(["train", "sepclr", *arguments, *steps, "--out", str(tmp_path / name), "--keep-checkpoints"]) == 0
    shutil.rmtree(tmp_path / "again/model")
    (tmp_path / "again/metrics.json").unlink()
    shutil.rmtree(tmp_path / "again/checkpoints/checkpoint-4")
    assert run(["train", "sepclr", *arguments, *steps, "--out", str(tmp_path / "again"), "--resume"]) == 0
    assert weights(tmp_path / "whole") == weights(tmp_path / "again") != []


def prepared(tiny_model_folder: Path, target: list[dict], **settings: str):
    rows = DatasetDict(background=Dataset.from_list(BACKGROUND), target=Dataset.from_list(target))
    options = with_settings(sepclr.Options(), {"dims": "6", **settings})
    return first_stage(sepclr.prepare)(str(tiny_model_folder), rows, options)


def test_a_batch_has_both_datasets_and_attributes_come_as_labels(tiny_model_folder: Path) -> None:
    stage = prepared(tiny_model_folder, TARGET)
    assert stage.batches == "group_by_label"
    assert sorted(set(stage.rows["label"])) == [0, 1]
    stage = prepared(tiny_model_folder, TARGET, attributes="auto")
    assert stage.loss.discrete == (True, False)
    assert stage.rows["label"][0] == [0, 0, 0]
    assert stage.rows["label"][-1] == [1, 0, 1]


def test_pretrained_layers_learn_slowly_and_new_ones_do_not(tiny_model_folder: Path) -> None:
    stage = prepared(tiny_model_folder, TARGET, pretrained_rate="0.25")
    (pattern, factor), *others = stage.learning_rates.items()
    assert (factor, others) == (0.25, [])
    slow = [name for name, _ in stage.loss.named_parameters() if re.search(pattern, name)]
    assert slow
    assert all(".0." in name for name in slow)
    assert not any("linear" in name for name in slow)


def test_the_first_view_is_measured_on_held_out_rows(files: list[str], tiny_model_folder: Path, tmp_path: Path) -> None:
    write_jsonl([{"anchor": text, "positive": text} for text in TEXTS], tmp_path / "pairs.jsonl")
    more = ["--eval", str(tmp_path / "pairs.jsonl"), "--out", str(tmp_path / "run")]
    assert run(["train", "sepclr", *files, "--model", str(tiny_model_folder), *SMALL, *more]) == 0
    assert "sub_modules" in (tmp_path / "run/model/README.md").read_text()
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["after"]["n"] == len(TEXTS)


def test_attributes_that_do_not_exist_are_refused(tiny_model_folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        prepared(tiny_model_folder, BACKGROUND, attributes="auto")
    assert caught.value.field == "--data"


def test_training_on_attributes_from_the_command_line(
    files: list[str], tiny_model_folder: Path, tmp_path: Path
) -> None:
    more = ["--set", "attributes=auto", "--set", "encoders=shared", "--out", str(tmp_path / "run")]
    assert run(["train", "sepclr", *files, "--model", str(tiny_model_folder), *SMALL, *more]) == 0
    assert views_of(nearfar.load(tmp_path / "run/model", device="cpu")) == ("salient", "common")


def test_the_base_model_depends_on_the_rows() -> None:
    recipe = sepclr.RECIPE
    assert recipe.base(["text"]) == "minilm"
    assert recipe.base({"audio", "label"}) == "small-audio"
    assert recipe.base(["image", "text"]) == "small-cnn"
    assert recipe.base(["other"]) is None
