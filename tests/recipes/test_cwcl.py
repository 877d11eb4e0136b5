"""Towers and vectors, and the recipe from the command line on files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from datasets import Dataset
from PIL import Image
from sentence_transformers import SentenceTransformer

from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.kinds.plan import Plan
from nearfar.models import load
from nearfar.models.towers import medium_of, router_of, two_towers
from nearfar.models.towers.reading import encode_tower
from nearfar.recipes import cwcl
from nearfar.training.stages import train_plan
from plans import first_stage


def paint(folder: Path, each: int = 6) -> Path:
    """Pictures of two colours, with a table of captions; a label is the colour."""
    rng, lines, gold = np.random.default_rng(0), ["image,text"], ["image,label"]
    for colour, channel in (("red", 0), ("blue", 2)):
        for number in range(each):
            pixels = rng.integers(0, 60, (20, 24, 3), dtype=np.uint8)
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(folder / f"{colour}-{number}.png")
            lines.append(f"{colour}-{number}.png,the {colour} sea {number}")
            gold.append(f"{colour}-{number}.png,{colour}")
    (folder / "captions.csv").write_text("\n".join(lines))
    (folder / "labels.csv").write_text("\n".join(gold))
    return folder / "captions.csv"


def nearfar(*arguments: str | Path) -> int:
    return run([str(argument) for argument in arguments])


SMALL = ("--set", "image_size=16", "--set", "seconds=1", "--set", "batch_size=6", "--set", "learning_rate=0.003")


def test_command_line_trains_on_captions_and_resumes(tmp_path: Path, tiny_model_folder: Path, capsys) -> None:
    data, out = paint(tmp_path), tmp_path / "run"
    arguments = ("train", "cwcl", "--data", data, "--eval", tmp_path / "labels.csv", "--model", tiny_model_folder)
    steps = ("--set", "max_steps=16", "--set", "save_steps=8", *SMALL, "--json")
    assert nearfar(*arguments, "--out", out, *steps, "--keep-checkpoints") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["after"]["task"] == "zero-shot"
    assert found["after"]["metrics"]["accuracy"] == 1.0
    assert found["after"]["interval_95"] == [1.0, 1.0]
    assert found["held_out_seen_in_training"] == 12
    model = SentenceTransformer(str(out / "model"), device="cpu")
    before = load(tiny_model_folder, device="cpu").encode(["a red fish"], normalize_embeddings=True)
    np.testing.assert_allclose(model.encode(["a red fish"], task="text"), before, atol=1e-6)

    if torch.cuda.is_available():
        return  # where the gradients of convolutions differ from run to run
    # From the middle: the same end.
    import shutil

    half = tmp_path / "half"
    shutil.copytree(out, half)
    shutil.rmtree(half / "checkpoints" / "checkpoint-16")
    shutil.rmtree(half / "model")
    assert nearfar(*arguments, "--out", half, "--resume", *steps) == 0
    again = SentenceTransformer(str(half / "model"), device="cpu")
    for name, weights in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weights, atol=1e-5, rtol=1e-4)


def test_pre_trained_pictures_teach_texts(tmp_path: Path, tiny_model_folder: Path) -> None:
    """The paper's own way round: the image tower is frozen."""
    from nearfar.data import load as load_rows

    rows = load_rows(paint(tmp_path))
    eye = two_towers(tiny_model_folder, image="small-cnn", image_size=16, device="cpu", dims=32)
    eye.save_pretrained(str(tmp_path / "eye"))
    model = load(tiny_model_folder, device="cpu")
    options = cwcl.Options(image_model=str(tmp_path / "eye"), max_steps=2, batch_size=6, save_steps=2)
    plan = first_stage(cwcl.prepare)(model, rows, options)
    assert plan.rows.column_names == ["text", "label"]
    assert list(plan.learning_rates) == [r"sub_modules\.text\.0\."]
    images = encode_tower(model, rows, "image")
    np.testing.assert_allclose(images, encode_tower(eye, rows, "image"), atol=1e-6)
    texts = encode_tower(model, rows, "text")
    train_plan(Plan(model, plan), options, tmp_path / "checkpoints", 0)
    np.testing.assert_array_equal(images, encode_tower(model, rows, "image"))
    assert np.abs(encode_tower(model, rows, "text") - texts).max() > 1e-4


def test_recordings_learn_from_frozen_texts(tmp_path: Path, tiny_model_folder: Path) -> None:
    tone = np.sin(np.arange(4000)[:, None] * np.array([[0.05, 0.4]]) * np.pi)
    rows = []
    for number in range(12):
        low = number % 2
        file = tmp_path / f"{number}.{'wav' if number % 3 else 'flac'}"
        soundfile.write(file, tone[:, low] * (0.2 + 0.05 * number), 8000)
        rows.append({"audio": str(file), "text": ("quiet", "loud")[low], "label": ("quiet", "loud")[low]})
    data = Dataset.from_list(rows)
    model = load(tiny_model_folder, device="cpu")
    options = cwcl.Options(seconds=1, max_steps=20, batch_size=6, save_steps=20, learning_rate=3e-3)
    torch.manual_seed(0)
    plan = first_stage(cwcl.prepare)(model, data, options)
    assert medium_of(model) == "audio"
    assert not any(weights.requires_grad for weights in router_of(model).sub_modules["text"].parameters())
    train_plan(Plan(model, plan), options, tmp_path / "checkpoints", 0)
    from nearfar.evaluation import evaluate

    assert evaluate(model, data).metrics["accuracy"] == 1.0


def test_untrained_tower_cannot_be_the_reference(tiny_model_folder: Path, tmp_path: Path) -> None:
    rows = Dataset.from_dict({"image": ["a.png"], "text": ["a"]})
    with pytest.raises(InputError, match=r"^frozen: .*small-cnn") as caught:
        first_stage(cwcl.prepare)(load(tiny_model_folder), rows, cwcl.Options(frozen="image"))
    assert caught.value.field == "frozen"
    with pytest.raises(InputError, match=r"^frozen: .*'audio'"):
        first_stage(cwcl.prepare)(load(tiny_model_folder), rows, cwcl.Options(frozen="audio"))
    for wrong in ({"power": 0}, {"weighted_temperature": -1}, {"pretrained_rate": 0}, {"weigh": "full"}):
        assert nearfar("train", "cwcl", "--data", "x.csv", *(f"--set={k}={v}" for k, v in wrong.items())) == 2


def test_broken_file_is_named_or_skipped(tmp_path: Path, tiny_model_folder: Path, capsys) -> None:
    data = paint(tmp_path, 3)
    whole = (tmp_path / "red-1.png").read_bytes()
    (tmp_path / "red-1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "blue-0.png").unlink()
    arguments = ("train", "cwcl", "--data", data, "--model", tiny_model_folder, "--out", tmp_path / "run")
    steps = ("--set", "max_steps=1", *SMALL[:4], "--set", "batch_size=2")
    assert nearfar(*arguments, *steps) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "blue-0.png: image: no such file" in said
    assert not (tmp_path / "run").exists()
    assert nearfar(*arguments, *steps, "--skip-broken") == 0
    said = capsys.readouterr().err
    assert "skipped 2 of 6 images" in said
    assert "red-1.png" in said
    # Cut short behind a sound head: met when it is decoded, and named then.
    (tmp_path / "blue-0.png").write_bytes((tmp_path / "blue-1.png").read_bytes())
    assert nearfar(*arguments[:-1], tmp_path / "other", *steps[:-1], "batch_size=6") == 2
    assert "red-1.png: is a corrupted image" in capsys.readouterr().err
