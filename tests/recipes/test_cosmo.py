"""The recipe from the command line on files: captions, documents, both; what is trained describes and finds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nearfar
from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.recipes import cosmo, get
from word_level import WORDS, write_causal

SMALL = ("image_size=16", "latents=2", "resampler_layers=1", "heads=2", "dims=16", "interval=1", "max_length=24")
COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}


def settings(*more: str) -> list[str]:
    return [part for option in (*SMALL, *more) for part in ("--set", option)]


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_causal(tmp_path_factory.mktemp("lm"), layers=2)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Images of one colour with captions, labels, and documents of two images."""
    rng, rows, documents = np.random.default_rng(0), [], []
    for number in range(24):
        name = list(COLOURS)[number % 3]
        pixels = np.clip(np.array(COLOURS[name]) + rng.integers(-20, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": f"the {name} {WORDS[6 + number // 3]}", "label": name})
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        parts = [{"text": "so"}, *({key: row[key]} for row in (first, second) for key in ("image", "text"))]
        documents.append({"id": first["text"], "parts": parts})
    write_jsonl([{"image": row["image"], "text": row["text"]} for row in rows], tmp_path / "captions.jsonl")
    write_jsonl([{"image": row["image"], "label": row["label"]} for row in rows], tmp_path / "labels.jsonl")
    write_jsonl(documents, tmp_path / "documents.jsonl")
    return tmp_path


@pytest.mark.slow
def test_trained_on_captions_and_documents_it_describes_finds_and_resumes(files: Path, lm: Path, capsys) -> None:
    data = ["--data", f"{files}/captions.jsonl", "--data", f"{files}/documents.jsonl"]
    arguments = ["train", "cosmo", *data, "--eval", str(files / "labels.jsonl"), "--model", str(lm)]
    out = str(files / "run")
    steps = settings("max_steps=120", "batch_size=8", "learning_rate=0.003", "save_steps=60", "log_scale=2.66")
    assert run([*arguments, "--out", out, *steps, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["after"]["task"] == "zero-shot"
    assert found["after"]["metrics"]["accuracy"] > 0.9 > found["before"]["metrics"]["accuracy"]

    model = f"{out}/model"
    red, blue = (str(files / f"{number}.png") for number in (0, 2))
    assert run(["generate", model, "--image", red, "--max-new-tokens", "3", "--json"]) == 0
    (text,) = json.loads(capsys.readouterr().out)["texts"]
    assert text["text"].startswith("the red")
    assert text["prompt"] == [{"image": red}]
    prompts = files / "prompts.jsonl"
    write_jsonl([{"parts": [{"image": "2.png"}, {"text": "the"}]}, {"parts": [{"image": "0.png"}]}], prompts)
    written = ["generate", model, "--prompts", str(prompts), "--out", str(files / "texts.jsonl"), "--batch-size", "1"]
    assert run([*written, "--max-new-tokens", "3", "--decoding", "beam"]) == 0
    rows = [json.loads(line) for line in (files / "texts.jsonl").read_text().splitlines()]
    assert rows[0]["text"].strip().startswith("blue")
    assert rows[0]["prompt"][0]["image"].endswith("2.png")
    capsys.readouterr()

    assert run(["evaluate", model, "--data", str(files / "captions.jsonl"), "--task", "captions", "--json"]) == 0
    captions = json.loads(capsys.readouterr().out)
    assert captions["n"] == 24
    assert captions["metrics"]["cider"] > 0.5
    for data, task in (("captions", "retrieval"), ("labels", "zero-shot"), ("labels", "few-shot")):
        assert run(["evaluate", model, "--data", str(files / f"{data}.jsonl"), "--task", task, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["task"] == task
    examples = ["evaluate", model, "--data", str(files / "captions.jsonl"), "--task", "captions", "--shots", "1"]
    assert run([*examples, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 24
    assert run(["encode", model, str(files / "captions.jsonl"), "--out", str(files / "vectors.npy")]) == 0
    assert np.load(files / "vectors.npy").shape == (24, 16)
    vectors = nearfar.load(model).encode(["the red", "the blue"]) @ nearfar.load(model).encode_media([red, blue]).T
    assert vectors.argmax(1).tolist() == [0, 1]


def test_what_was_trained_is_trained_further(files: Path, lm: Path) -> None:
    first = nearfar.train(
        "cosmo", files / "captions.jsonl", model=lm, out=files / "first", **parsed("max_steps=2", "batch_size=8")
    )
    second = nearfar.train(
        "cosmo",
        files / "documents.jsonl",
        model=files / "first" / "model",
        out=files / "second",
        **parsed("max_steps=2", "batch_size=4", "latents=7"),
    )
    assert second.model.model.shape == first.model.model.shape
    assert second.metrics["parameters"]["trained"] == first.metrics["parameters"]["trained"]


def parsed(*more: str) -> dict[str, object]:
    return get("cosmo").options(**{k: int(v) for k, v in (each.split("=") for each in (*SMALL, *more))}).__dict__


def test_a_split_of_half_the_layers_by_default(files: Path, lm: Path) -> None:
    from nearfar.data import load
    from nearfar.kinds.causal import CausalLM

    rows = load(files / "captions.jsonl")
    options = cosmo.Options(image_size=16, latents=2, resampler_layers=1, heads=2)
    plan = cosmo.prepare(CausalLM.load(lm, device="cpu"), rows, options)
    assert plan.model.model.shape.split == 1
    assert list(plan.model.model.cross) == ["1"]
    assert plan.model.model.train_vision, "a tower with new weights"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"parts": [{"image": "0.png", "text": "both"}]}] * 2, "parts[0]"),
        ([{"parts": [{}]}] * 2, "parts[0]"),
        ([{"parts": ["a text"]}] * 2, "parts[0]"),
        ([{"parts": []}] * 2, "parts"),
        ([{"parts": [{"image": "0.png"}, {"text": ""}]}] * 2, "parts[1].text"),
        ([{"parts": [{"image": "nowhere.png"}, {"text": "the"}]}] * 2, "nowhere.png"),
        ([{"parts": [{"image": "notes.txt"}, {"text": "the"}]}] * 2, "notes.txt"),
    ],
)
def test_documents_that_are_wrong_are_one_line(files: Path, lm: Path, rows, said: str, capsys) -> None:
    (files / "notes.txt").write_text("no image")
    write_jsonl(rows, files / "wrong.jsonl")
    arguments = ["train", "cosmo", "--data", str(files / "wrong.jsonl"), "--model", str(lm), "--out", str(files / "x")]
    assert run([*arguments, *settings("batch_size=2")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err
    assert not (files / "x").exists()


def test_broken_images_of_documents_are_skipped_on_request(files: Path) -> None:
    from nearfar.data import load

    rows = [{"parts": [{"image": name}, {"text": "the"}]} for name in ("0.png", "gone.png", "1.png")]
    write_jsonl(rows, files / "some.jsonl")
    found = load(files / "some.jsonl", skip_broken=True)
    assert [row["parts"][0]["image"].rsplit("/")[-1] for row in found] == ["0.png", "1.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--image", "0.png", "--prefix", "explain"], "--prefix"),
        (["--image", "0.png", "--chat"], "--chat"),
        (["--image", "0.png", "--decoding", "contrastive-search"], "--decoding"),
        (["--image", "gone.png"], "gone.png"),
        (["--image", "0.png", "--prompts", "captions.jsonl"], "got both"),
        ([], "--image"),
    ],
)
def test_prompts_that_are_wrong_are_one_line(files: Path, lm: Path, arguments, said, monkeypatch, capsys) -> None:
    monkeypatch.chdir(files)
    nearfar.train("cosmo", "captions.jsonl", model=lm, out="run", **parsed("max_steps=1", "batch_size=8"))
    capsys.readouterr()
    assert run(["generate", "run/model", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err
    assert run(["generate", str(lm), "--image", "0.png", "--prompt", "the"]) == 2
    assert "--image" in capsys.readouterr().err
