"""What a run forgets: when it is measured, what is said of it, and that measuring changes nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

import nearfar
from nearfar.errors import InputError
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.intervals import Interval
from nearfar.evaluation.result import Result
from nearfar.models import load
from nearfar.training.forgetting import BUILTIN, Forgetting, forgetting, read_general

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank")
SMALL: dict[str, Any] = {"batch_size": 4, "learning_rate": 1e-2, "max_steps": 3}
VALUES = np.linspace(0, 1, 40)


def pairs(start: int, stop: int) -> Dataset:
    nouns = [(a, b) for a in NOUNS for b in NOUNS if a != b][start:stop]
    return Dataset.from_list([{"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a, b in nouns])


def result(score: float, **more: Any) -> Result:
    """Values with this mean; by how much two results differ is not the same for all items."""
    values = score + score * (VALUES - 0.5)
    return Result("retrieval", "ndcg@10", {"ndcg@10": score}, 40, per_item={"ndcg@10": values}, **more)


def train(folder: Path, base: Path, **more: Any) -> Any:
    return nearfar.train("infonce", pairs(0, 20), model=base, out=folder, **SMALL, **more)


def test_measured_by_default_where_a_run_is_measured(tiny_model_folder: Path, tmp_path: Path) -> None:
    run = train(tmp_path / "run", tiny_model_folder, evaluation=pairs(20, 40))
    found, general = run.forgetting, read_general(BUILTIN)
    assert found.name == BUILTIN
    assert found.before.n == len(general.rows)
    assert found.before.score == general.measure(load(tiny_model_folder, device="cpu")).score
    assert found.after.score == pytest.approx(general.measure(load(run.folder / "model", device="cpu")).score)
    assert found.change.mean == pytest.approx(found.after.score - found.before.score)
    metrics = json.loads((run.folder / "metrics.json").read_text("utf-8"))["general"]
    assert metrics == found.as_dict()
    assert metrics["difference"]["low"] == found.change.low
    assert "general set" in (run.folder / "report.html").read_text("utf-8")


def test_measuring_changes_nothing_else(tiny_model_folder: Path, tmp_path: Path) -> None:
    runs = {
        keep: train(tmp_path / keep, tiny_model_folder, evaluation=pairs(20, 40), keep=keep)
        for keep in ("builtin", "none")
    }
    with_it, without = ({**run.metrics} for run in runs.values())
    assert with_it.pop("general")
    assert with_it == without
    first, second = (load(run.folder / "model", device="cpu").state_dict() for run in runs.values())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert runs["none"].forgetting is None


def test_nothing_is_measured_that_nobody_asked_for(tiny_model_folder: Path, tmp_path: Path) -> None:
    run = train(tmp_path / "run", tiny_model_folder)
    assert run.forgetting is None
    assert "general" not in run.metrics


def test_own_rows_of_another_task(tiny_model_folder: Path, tmp_path: Path) -> None:
    scored = tmp_path / "sts.jsonl"
    rows = [{"sentence1": f"the {a}", "sentence2": f"a {b}", "score": len(a + b)} for a in NOUNS[:4] for b in NOUNS[:4]]
    scored.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = train(tmp_path / "run", tiny_model_folder, keep=scored)
    assert run.before is None
    assert (run.forgetting.before.task, run.forgetting.before.n) == ("sts", 16)
    assert run.metrics["general"]["rows"] == str(scored)


def test_rows_that_cannot_be_measured_are_refused_before_training(tiny_model_folder: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "a cat"}\n{"text": "a dog"}\n')
    with pytest.raises(InputError) as raised:
        train(tmp_path / "run", tiny_model_folder, keep=texts)
    assert str(texts) in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "tone"),
    [
        (Interval(-0.25, -0.375, -0.125), "bad"),
        (Interval(-0.25, -0.5, 0.0), "neutral"),
        (Interval(0.25, 0.125, 0.375), "good"),
        (Interval(0.25, 0.25, 0.25), "neutral"),
        (None, "neutral"),
    ],
)
def test_only_an_interval_below_zero_is_a_loss(change: Interval | None, tone: str) -> None:
    delta = -0.25 if change is None else change.mean
    said, found = Forgetting(BUILTIN, result(0.5), result(0.5 + delta), change).verdict()
    assert found == tone
    assert f"0.500 to {0.5 + delta:.3f} ({delta:+.3f}" in said


def test_who_guesses_has_nothing_to_forget() -> None:
    chance = Chance(0.5, 0.5)
    guessing = forgetting(read_general(BUILTIN), result(0.5, chance=chance), result(0.49, chance=chance))
    assert guessing.verdict()[1] == "neutral"
    assert "guessing" in guessing.verdict()[0]
    # What was learnt and is lost is a loss, also if only guessing is left.
    lost = forgetting(read_general(BUILTIN), result(0.9, chance=chance), result(0.5, chance=chance))
    assert lost.verdict()[1] == "bad"
