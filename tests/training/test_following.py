"""Early stopping and the best checkpoint: decided on validation rows, and the same after a resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState, TrainingArguments

from nearfar import train
from nearfar.cli.app import run as command
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.kinds._best import Follow
from nearfar.training.held_out import HeldOut

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "tree")
#: What each evaluation on validation rows finds: best at step 4.
SCORES = [0.2, 0.5, 0.4, 0.3, 0.9, 0.9]


def rows(start: int = 0, stop: int = 60) -> Dataset:
    pairs = [(f"{WORDS[i % 12]} a{i}", f"the {WORDS[i % 12]} b{i}") for i in range(start, stop)]
    return Dataset.from_dict(dict(zip(("anchor", "positive"), map(list, zip(*pairs, strict=True)), strict=True)))


STEPS: dict[str, Any] = {"max_steps": 12, "save_steps": 3, "eval_steps": 2, "batch_size": 8, "learning_rate": 1e-2}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Validation rows score what the list says; the weights tell which step it is, so that a resume sees the same."""
    seen: list[float] = []
    real = HeldOut.measure

    def measure(self: HeldOut, model: Any, seed: int) -> Any:
        result = real(self, model, seed)
        if self.size != 10:
            return result
        known = float(model.module.state_dict()["0.model.embeddings.word_embeddings.weight"].double().sum())
        if known not in seen:
            seen.append(known)
        number = seen.index(known) - 1  # the first is that of the base model
        return type(result)(**{**vars(result), "metrics": {**result.metrics, result.primary: SCORES[max(number, 0)]}})

    monkeypatch.setattr(HeldOut, "measure", measure)
    return seen


def test_the_best_checkpoint_becomes_the_model_and_training_stops(
    told: list[float], tiny_model_folder: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {**STEPS, "model": tiny_model_folder, "validation": rows(100, 110), "early_stopping": 2}
    last = train("infonce", rows(), out=tmp_path / "last", keep_checkpoints=True, **options)
    told.clear()
    best = train("infonce", rows(), out=tmp_path / "best", keep_checkpoints=True, checkpoint="best", **options)
    expected = [{"stage": "stage 1", "step": 4, "value": 0.5, "stopped_early": True}]
    for run in (last, best):
        assert run.metrics["validation"] == {"rows": 10, "metric": "ndcg@10", "stages": expected}
        assert run.metrics["steps"] == 8
    stored = load_file(tmp_path / "best" / "checkpoints" / "checkpoint-4" / "model.safetensors")
    for folder, same in (("best", True), ("last", False)):
        found = load_file(tmp_path / folder / "model" / "model.safetensors")
        assert all(found[name].equal(stored[name]) for name in found) == same

    # Resumed after the best step, and after the last one.
    for gone in (("checkpoint-6", "checkpoint-8"), ("checkpoint-8",), ()):
        again = tmp_path / f"without-{len(gone)}"
        ignored = shutil.ignore_patterns(*gone, "model", "metrics.json", "report.html")
        shutil.copytree(best.folder, again, ignore=ignored)
        resumed = train("infonce", rows(), out=again, resume=True, checkpoint="best", **options)
        assert resumed.metrics == best.metrics
        found = load_file(again / "model" / "model.safetensors")
        assert all(found[name].equal(stored[name]) for name in found)
    # The checkpoints were thinned, and the finished run is still the same.
    assert {path.name for path in (again / "checkpoints").glob("checkpoint-*")} == {"checkpoint-4", "checkpoint-8"}
    assert not list((again / "checkpoints").rglob("model.safetensors"))[1:]
    shutil.copytree(again, tmp_path / "finished", ignore=shutil.ignore_patterns("metrics.json", "report.html"))
    resumed = train("infonce", rows(), out=tmp_path / "finished", resume=True, checkpoint="best", **options)
    assert resumed.metrics == best.metrics


def test_validation_rows_are_a_part_of_the_training_rows(tiny_model_folder: Path, tmp_path: Path, capsys: Any) -> None:
    write_jsonl([dict(row) for row in rows()], tmp_path / "rows.jsonl")
    write_jsonl([dict(row) for row in rows(60, 80)], tmp_path / "held.jsonl")
    base = ["train", "infonce", "--data", str(tmp_path / "rows.jsonl"), "--model", str(tiny_model_folder)]
    settings = ["checkpoint=best", "validation_share=0.2", "max_steps=4", "eval_steps=2", "batch_size=8"]
    arguments = [*base, "--eval", str(tmp_path / "held.jsonl"), *(f"--set={each}" for each in settings)]
    assert command([*arguments, "--out", str(tmp_path / "run")]) == 0
    assert "validation rows" in capsys.readouterr().err
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["validation"]["rows"] == 12
    assert metrics["drawn"][0]["rows"] == 48
    assert metrics["validation"]["stages"][0]["step"] in (2, 4)
    more = ["--validation", str(tmp_path / "held.jsonl"), "--out", str(tmp_path / "other")]
    assert command([*arguments, *more]) == 2
    assert "--validation" in capsys.readouterr().err


def test_what_cannot_be_followed_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    few = rows(0, 12)
    sentences = Dataset.from_dict({"text": [f"cat {i}" for i in range(60)]})
    for recipe, data, options in (
        ("infonce", few, {"early_stopping": 1}),
        ("simcse", sentences, {"checkpoint": "best"}),
        ("infonce", rows(), {"validation": rows(60, 80)}),
        ("infonce", rows(), {"validation": rows(60, 80), "evaluation": rows(60, 80), "checkpoint": "best"}),
    ):
        with pytest.raises(InputError) as caught:
            train(recipe, data, model=tiny_model_folder, out=tmp_path / "run", batch_size=4, **options)
        assert caught.value.field == "--validation"
        assert not (tmp_path / "run").exists()


def test_what_is_followed_survives_a_checkpoint(tmp_path: Path) -> None:
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    first, state, control = Follow("score", 2), TrainerState(), TrainerControl()
    for step, score in ((1, 0.3), (2, float("nan"))):
        state.global_step = step
        control = TrainerControl()
        first.on_evaluate(arguments, state, control, {"eval_score": score})
        assert control.should_save == (step == 1)
    (tmp_path / "checkpoint-2").mkdir()
    first.on_save(arguments, state, control)
    second = Follow("score", 2)
    second.load(tmp_path / "checkpoint-2")
    assert (second.step, second.value, second.waited, second.stopped) == (1, 0.3, 1, False)
    state.global_step = 3
    second.on_evaluate(arguments, state, control, {"eval_score": 0.3})  # no better
    assert second.stopped
    assert control.should_training_stop
    assert control.should_save
