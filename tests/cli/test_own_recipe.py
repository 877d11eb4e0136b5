"""A recipe in a file of the user's own: shown, and what is said where it does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nearfar
from nearfar.cli.app import run
from nearfar.cli.output import progress
from nearfar.comparison.fitting import fits
from nearfar.data import write_jsonl
from nearfar.recipes import get

OWN = '''
"""Contrast with a guide."""

from dataclasses import dataclass

from nearfar.kinds.options import TrainingOptions
from nearfar.recipes import Plan, Recipe, Stage


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Options.

    Args:
        teacher: The guide.
    """

    teacher: str = "nowhere-to-be-found"


def prepare(model, rows, options):
    from nearfar.losses import ContrastLoss
    from nearfar.models import load

    return Plan(model, Stage(rows, ContrastLoss(model, guide=load(options.teacher))))


RECIPE = Recipe("own", {"rows": ("pairs",)}, Options, prepare)
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    write_jsonl([{"anchor": f"the cat {i}", "positive": f"a mat {i}"} for i in range(8)], tmp_path / "pairs.jsonl")
    return file


def test_it_is_shown_without_a_paper_and_trained_by_its_path(own, capsys) -> None:
    assert run(["recipes", str(own)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Contrast with a guide.")
    assert "Paper:" not in shown
    assert f"nearfar train {own} --data" in shown
    assert run(["recipes", str(own), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["paper"] is None


def test_a_model_that_it_loads_is_not_blamed_on_the_data(own, tiny_model_folder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    data, out = str(tmp_path / "pairs.jsonl"), str(tmp_path / "out")
    for name in ("nowhere-to-be-found", "./nowhere"):
        command = ["train", str(own), "--data", data, "--model", str(tiny_model_folder), "--out", out]
        assert run([*command, "--set", f"teacher={name}"]) == 2
        told = capsys.readouterr().err
        assert told.startswith("nearfar: model: ")
        assert repr(name) in told
        assert data not in told


def test_columns_of_the_held_out_rows_are_mapped_by_their_own_option(tiny_model_folder, tmp_path, capsys, own) -> None:
    write_jsonl([{"question": f"the cat {i}", "answer": f"a mat {i}"} for i in range(8)], tmp_path / "held-out.jsonl")
    data, held_out = str(tmp_path / "pairs.jsonl"), str(tmp_path / "held-out.jsonl")
    command = ["train", "infonce", "--data", data, "--eval", held_out, "--model", str(tiny_model_folder)]
    assert run([*command, "--out", str(tmp_path / "out")]) == 2
    assert "map them with --eval-columns anchor=question,positive=answer" in capsys.readouterr().err


def test_a_stream_is_not_compared(own) -> None:
    own.write_text(OWN.replace('{"rows":', '{"stream":'))
    (fit,) = fits([get(str(own))], ["task", "anchor", "positive"])
    assert fit.reason is not None
    assert "nearfar train" in fit.reason


@pytest.mark.parametrize(("loss", "shown"), [(2.3456, "2.346"), (0.0000893, "8.9e-05"), (0.0, "0.000")])
def test_a_small_loss_is_shown(loss, shown, capsys) -> None:
    with progress("train") as update:
        update(1, 2, loss)
    assert f"loss {shown}" in capsys.readouterr().err


def test_a_run_records_the_file(own, tiny_model_folder, tmp_path) -> None:
    run_ = nearfar.train(
        str(own), tmp_path / "pairs.jsonl", model=str(tiny_model_folder), out=tmp_path / "out", batch_size=4,
        max_steps=1, teacher=str(tiny_model_folder),
    )  # fmt: skip
    recorded = (run_.folder / "run.yaml").read_text()
    assert f"recipe_file: {own}" in recorded
    assert "recipe_sha256: " in recorded
