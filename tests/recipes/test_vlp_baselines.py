"""The recipe on images, audio and texts: what is trained, saved, measured and resumed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.losses.non_contrastive import Decorrelation, Prediction, SwappedAssignments
from nearfar.models import load
from nearfar.models.towers.heads import TwoHeads
from nearfar.recipes import vlp_baselines
from plans import first_stage

SMALL = {"image_size": 16, "batch_size": 6, "hidden": 16, "dims": 8, "learning_rate": 3e-3, "workers": 0}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two colours with captions; the label is the colour."""
    folder, rng, lines = tmp_path_factory.mktemp("images"), np.random.default_rng(0), []
    for colour, channel in (("red", 0), ("blue", 2)):
        for number in range(6):
            pixels = rng.integers(0, 60, (20, 24, 3), dtype=np.uint8)
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(folder / f"{colour}{number}.png")
            lines.append({"image": f"{colour}{number}.png", "text": f"the {colour} sea {number}", "label": colour})
    write_jsonl(lines, folder / "rows.jsonl")
    return folder / "rows.jsonl"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted((folder / "model").rglob("*.safetensors"))
    return {f"{file.relative_to(folder)} {name}": x for file in files for name, x in load_file(file).items()}


def test_command_line_trains_measures_and_resumes(
    rows: Path, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    settings = {**SMALL, "max_steps": 12, "save_steps": 6, "extra": "byol", "flip": 0, "pretrained_rate": 1}
    arguments = ["train", "vlp_baselines", "--data", rows, "--eval", rows, "--model", tiny_model_folder, "--json"]
    arguments += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    assert run([str(each) for each in [*arguments, "--out", whole, "--keep-checkpoints"]]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["after"]["task"] == "zero-shot"
    assert run(["evaluate", str(whole / "model"), "--data", str(rows), "--task", "zero-shot", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["metrics"]["accuracy"] == pytest.approx(found["after"]["metrics"]["accuracy"])
    model = SentenceTransformer(str(whole / "model"), device="cpu")
    assert model.encode(["a red fish"], task="text").shape == (1, 16)

    # Views are drawn anew in each epoch, of two steps here: a resumed run draws the same ones.
    shutil.copytree(whole, half, ignore=shutil.ignore_patterns("checkpoint-12", "model", "metrics.json", "report.html"))
    assert run([str(each) for each in [*arguments, "--out", half, "--resume"]]) == 0
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(half)[name], value, atol=1e-5, rtol=1e-4)


def test_processes_that_load_change_nothing(rows: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    found = []
    for workers in (0, 2):
        out = tmp_path / str(workers)
        options = {**SMALL, "max_steps": 3, "workers": workers}
        nearfar.train("vlp_baselines", rows, model=tiny_model_folder, out=out, **options)
        found.append(weights(out))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_file_is_named(
    workers: int, rows: Path, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (rows.parent / "red0.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    texts = [{"image": "cut.png", "text": "a"}, {"image": str(rows.parent / "red0.png"), "text": "b"}]
    write_jsonl(texts, tmp_path / "rows.jsonl")
    settings = {**SMALL, "batch_size": 2, "max_steps": 1, "workers": workers}
    arguments = ["train", "vlp_baselines", "--data", tmp_path / "rows.jsonl", "--model", tiny_model_folder]
    arguments += ["--out", tmp_path / "run", *(f"--set={name}={value}" for name, value in settings.items())]
    assert run([str(each) for each in arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].count("cut.png: is a corrupted image") == 1
    assert "Traceback" not in "".join(said)


def stage_of(rows: Path, model_folder: Path, **settings: Any) -> tuple[Any, Any]:
    model = load(model_folder, device="cpu")
    options = with_settings(
        vlp_baselines.Options(), {name: str(value) for name, value in {**SMALL, **settings}.items()}
    )
    return first_stage(vlp_baselines.prepare)(model, nearfar.data.load(rows), options), model


@pytest.mark.parametrize(
    ("extra", "kind"),
    [("siam", Prediction), ("byol", Prediction), ("barlow", Decorrelation), ("swav", SwappedAssignments)],
)
def test_every_other_loss_is_an_option(extra: str, kind: type, rows: Path, tiny_model_folder: Path) -> None:
    smoothing = {"label_smoothing": 0} if extra == "swav" else {}
    stage, _ = stage_of(rows, tiny_model_folder, extra=extra, extra_dims=4, **smoothing)
    assert isinstance(stage.loss.term, kind)
    assert (getattr(stage.loss.term, "averaged", None) is not None) == (extra == "byol")


def test_what_is_slow_and_what_is_seen(rows: Path, tiny_model_folder: Path) -> None:
    stage, model = stage_of(rows, tiny_model_folder, text_dropout=0.3, total="sum")
    assert stage.learning_rates == {r"sub_modules\.text\.": 0.05}
    assert list(stage.views.columns) == ["image", "image_1", "image_2", "text", "text_1", "text_2"]
    assert stage.views.make.files.size == 16
    assert (stage.loss.encode.text_dropout, stage.loss.scale, stage.loss.smoothing) == (0.3, 2.0, 0.1)
    assert [module.share for module in model if isinstance(module, TwoHeads)] == [0.5]
    stage, model = stage_of(rows, tiny_model_folder, views=0)
    assert list(stage.views.columns) == ["image", "text"]
    assert [module.share for module in model if isinstance(module, TwoHeads)] == [1.0]


def test_strong_views_of_texts_have_dropout_and_weak_ones_have_none(rows: Path, tiny_model_folder: Path) -> None:
    stage, model = stage_of(rows, tiny_model_folder, text_dropout=0.5)
    model.train()
    features = {**model.preprocess(["the cat sits"], task="text"), "task": "text"}
    again = [stage.loss.encode(model, ([], [dict(features), dict(features), dict(features)]))[1] for _ in range(2)]
    assert torch.equal(again[0][0], again[1][0])
    assert not torch.allclose(again[0][1], again[0][2])
    assert not torch.allclose(again[0][1], again[1][1])


def test_a_trained_model_is_trained_again(rows: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    options = {**SMALL, "max_steps": 2, "views": 1}
    nearfar.train("vlp_baselines", rows, model=tiny_model_folder, out=tmp_path / "first", **options)
    nearfar.train("vlp_baselines", rows, model=tmp_path / "first" / "model", out=tmp_path / "second", **options)
    nearfar.train(
        "contrastive_gap", rows, model=tmp_path / "first" / "model", out=tmp_path / "third", max_steps=1, batch_size=6
    )
    for name in ("second", "third"):
        model = SentenceTransformer(str(tmp_path / name / "model"), device="cpu")
        assert model.encode(["a red fish"], task="text").shape == (1, 16)


def test_audio_and_texts(tiny_model_folder: Path, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    lines = []
    for number in range(8):
        tone = np.sin(np.arange(4000) * (0.05, 0.4)[number % 2] * np.pi) * (0.2 + 0.05 * number)
        soundfile.write(tmp_path / f"{number}.wav", tone, 8000)
        lines.append({"audio": f"{number}.wav", "text": f"the {('quiet', 'loud')[number % 2]} band {number}"})
    write_jsonl(lines, tmp_path / "rows.jsonl")
    options = {**SMALL, "batch_size": 4, "seconds": 1, "max_steps": 2}
    del options["image_size"]
    data = tmp_path / "rows.jsonl"
    done = nearfar.train(
        "vlp_baselines", data, evaluation=data, model=tiny_model_folder, out=tmp_path / "run", **options
    )
    assert done.after is not None
    assert done.after.primary == "recall@1"


@pytest.mark.parametrize(
    "settings", [{"extra": "swav"}, {"extra": "swav", "label_smoothing": 0.0, "views": 1}, {"share": 2}, {"views": -1}]
)
def test_what_does_not_fit(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        with_settings(vlp_baselines.Options(), {name: str(value) for name, value in settings.items()})
    assert caught.value.field in settings


@pytest.mark.slow
def test_two_processes_train_the_model_of_one(rows: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    """Without batch norms and dropout in the towers. Weights that a batch norm makes useless follow rounding errors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    worker = Path(__file__).with_name("vlp_worker.py")
    arguments = [str(rows), str(tiny_model_folder), str(tmp_path), str(port)]
    for processes in (2, 1):
        started = [
            subprocess.Popen(
                [sys.executable, str(worker), str(rank), str(processes), *arguments], stderr=subprocess.PIPE, text=True
            )
            for rank in range(processes)
        ]
        try:
            said = [process.communicate(timeout=300)[1] for process in started]
        finally:
            for process in started:
                process.kill()
        assert [process.returncode for process in started] == [0] * processes, said
    texts = ["the red sea", "a blue bird", "fish"]
    one, two = (SentenceTransformer(str(tmp_path / f"run-{processes}" / "model"), device="cpu") for processes in (1, 2))
    before = one.encode(texts, task="text")
    np.testing.assert_allclose(two.encode(texts, task="text"), before, atol=2e-3)
    metrics = [json.loads((tmp_path / f"run-{n}" / "metrics.json").read_text()) for n in (1, 2)]
    assert metrics[0]["steps"] == metrics[1]["steps"] == 3
