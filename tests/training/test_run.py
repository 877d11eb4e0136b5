"""Whole runs of recipes made for these tests: two roles, a stream of tasks, several held-out tasks, resuming."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset

import nearfar
from nearfar.errors import InputError
from nearfar.evaluation.compared import paired_interval
from nearfar.kinds.options import TrainingOptions
from nearfar.losses import ContrastLoss
from nearfar.recipes import Plan, Recipe, Stage
from nearfar.training.finishing import _with_known_speed
from nearfar.training.folder import RunFolder

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "song", "card")
SMALL: dict[str, Any] = {"batch_size": 4, "learning_rate": 1e-2}


def pairs(start: int, stop: int, **columns: list[Any]) -> Dataset:
    noun_pairs = [(a, b) for a in NOUNS for b in NOUNS if a != b][start:stop]
    return Dataset.from_dict(
        {
            "anchor": [f"the {a} sits on a {b}" for a, b in noun_pairs],
            "positive": [f"a {a} in the {b}" for a, b in noun_pairs],
            **columns,
        }
    )


def one_stage_a_task(model: Any, rows: Any, options: TrainingOptions) -> Plan:
    def stages() -> Iterator[Stage]:
        for name, part in rows.items():
            yield Stage(part, ContrastLoss(model), name=name)

    return Plan(model, stages(), count=len(rows))


STREAM = Recipe("tiny_stream", {"stream": ("pairs",)}, TrainingOptions, one_stage_a_task)


def test_a_stream_is_measured_after_each_task_and_says_what_it_forgot(tiny_model_folder: Path, tmp_path: Path) -> None:
    rows = pairs(0, 36, task=["one"] * 12 + ["two"] * 12 + ["three"] * 12)
    held_out = pairs(36, 60, task=["one"] * 8 + ["two"] * 8 + ["three"] * 8)
    run = nearfar.train(
        STREAM, rows, model=tiny_model_folder, evaluation=held_out, out=tmp_path / "run", max_steps=8, **SMALL
    )
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text("utf-8"))
    assert metrics == run.metrics
    stages = metrics["stages"]
    assert [(stage["name"], stage["steps"]) for stage in stages] == [("one", 3), ("two", 3), ("three", 2)]
    names = [f"ndcg@10 of {task}" for task in ("one", "two", "three")]
    assert set(stages[0]["metrics"]) == {"mean ndcg@10", *names}
    last = stages[-1]["metrics"]
    assert last == metrics["after"]["metrics"]
    assert metrics["stream"]["average"] == pytest.approx(np.mean([last[name] for name in names]))
    lost = [max(stage["metrics"][name] for stage in stages[:-1]) - last[name] for name in names[:-1]]
    assert metrics["stream"]["forgetting"] == pytest.approx(np.mean(lost))
    assert any(abs(each) > 1e-6 for each in lost), "nothing changed: this shows nothing"
    # A mean over tasks has no interval.
    assert metrics["difference"]["metric"] == "mean ndcg@10"
    assert metrics["difference"]["value"] == pytest.approx(run.after.score - run.before.score)  # type: ignore[union-attr]
    assert run.change is None
    assert (metrics["before"]["n"], metrics["held_out_seen_in_training"]) == (24, 0)
    report = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert f"{metrics['stream']['forgetting']:.3f}" in report


def test_two_datasets_of_two_roles_are_one_run(tiny_model_folder: Path, tmp_path: Path) -> None:
    seen: list[Any] = []

    def prepare(model: Any, rows: Any, options: TrainingOptions) -> Plan:
        seen.append({name: (part.column_names, len(part)) for name, part in rows.items()})
        return Plan(model, Stage(rows["target"], ContrastLoss(model)))

    inputs = {"background": ("sentences",), "target": ("pairs",)}
    recipe = Recipe("tiny_roles", inputs, TrainingOptions, prepare)
    background = Dataset.from_dict({"text": [f"a {noun}" for noun in NOUNS]})
    data = {"target": pairs(0, 12), "background": background}
    # Three of the held-out pairs are in one of the two.
    held_out = pairs(9, 20)
    options: dict[str, Any] = {"model": tiny_model_folder, "max_steps": 2, **SMALL}
    run = nearfar.train(recipe, data, evaluation=held_out, out=tmp_path / "run", **options)
    assert seen == [{"background": (["text"], 10), "target": (["anchor", "positive"], 12)}]
    recorded = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text("utf-8"))
    assert {name: each["rows"] for name, each in recorded["data"]["sets"].items()} == {"background": 10, "target": 12}
    assert recorded["data"]["rows"] == 22
    assert run.metrics["steps"] == 2
    # Another dataset in one of the roles is another run.
    other = {**data, "background": background.select(range(9))}
    with pytest.raises(InputError) as caught:
        nearfar.train(recipe, other, evaluation=held_out, out=tmp_path / "run", resume=True, **options)
    assert (caught.value.field or "").startswith("data.")
    with pytest.raises(InputError) as caught:
        nearfar.train(recipe, {"target": data["target"]}, out=tmp_path / "no", **options)
    assert caught.value.field == "--data"
    assert not (tmp_path / "no").exists()


def test_what_a_run_states_is_of_its_own_model_data_and_seed(tiny_model_folder: Path, tmp_path: Path) -> None:
    drawn: list[float] = []

    def prepare(model: Any, rows: Any, options: TrainingOptions) -> Plan:
        drawn.append(torch.rand(()).item())

        def measure(host: Any, held_out: Any) -> dict[str, Any]:
            assert not host.training
            assert not torch.is_grad_enabled()
            return {"weight": float(host[0].model.embeddings.word_embeddings.weight.sum()), "rows": len(held_out)}

        return Plan(model, Stage(rows, ContrastLoss(model)), measure=measure)

    recipe = Recipe("tiny", {"rows": ("pairs",)}, TrainingOptions, prepare)
    held_out = pairs(18, 34)
    options: dict[str, Any] = {"model": tiny_model_folder, "evaluation": held_out, "max_steps": 6, **SMALL}
    run = nearfar.train(recipe, pairs(0, 20), out=tmp_path / "run", seed=5, **options)
    assert run.before is not None
    assert run.after is not None
    assert run.change == paired_interval(run.before, run.after, seed=5)
    assert run.change is not None
    assert run.change.mean == pytest.approx(run.after.score - run.before.score)
    assert run.change.mean != 0, "training changed nothing: this shows nothing"
    difference = run.metrics["difference"]
    assert [difference[key] for key in ("value", "low", "high")] == pytest.approx(list(run.change))
    # Two of the sixteen held-out rows are among the twenty trained on.
    assert run.metrics["held_out_seen_in_training"] == 2
    measured = run.metrics["measured"]
    assert measured["before"]["rows"] == measured["after"]["rows"] == 16
    assert measured["before"]["weight"] != measured["after"]["weight"]
    assert run.similarities is not None
    assert not np.allclose(run.similarities[0].positive, run.similarities[1].positive)
    assert "stages" not in run.metrics
    # Whatever was drawn before, the seed decides what a recipe draws.
    torch.rand(7)
    again = nearfar.train(recipe, pairs(0, 20), out=tmp_path / "again", seed=5, **options)
    assert again.metrics == run.metrics
    nearfar.train(recipe, pairs(0, 20), out=tmp_path / "other", seed=6, **options)
    assert drawn[0] == drawn[1] != drawn[2]
    # A folder with a run is that run's: nothing else is resumed in it.
    for change in ({"learning_rate": 0.5}, {"evaluation": None}, {"temprature": 1}):
        with pytest.raises(InputError):
            nearfar.train(recipe, pairs(0, 20), out=tmp_path / "run", seed=5, resume=True, **{**options, **change})
    with pytest.raises(InputError):
        nearfar.train(recipe, pairs(0, 20), out=tmp_path / "run", seed=6, resume=True, **options)
    other = {**options, "evaluation": held_out.select(range(15, -1, -1))}
    with pytest.raises(InputError) as caught:
        nearfar.train(recipe, pairs(0, 20), out=tmp_path / "run", seed=5, resume=True, **other)
    assert caught.value.field == "evaluation_sha256"
    resumed = nearfar.train(recipe, pairs(0, 20), out=tmp_path / "run", seed=5, resume=True, **options)
    assert resumed.metrics == run.metrics


def test_the_seed_decides_a_new_head_and_so_what_is_measured_before(plain_model_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    def prepare(model: Any, rows: Any, options: TrainingOptions) -> Plan:
        return Plan(model, Stage(rows, BinaryCrossEntropyLoss(model), batches="shuffled"))

    recipe = Recipe("tiny", {"rows": ("scored pairs",)}, TrainingOptions, prepare, trains="reranker")
    scored = Dataset.from_dict(
        {"sentence1": list(NOUNS), "sentence2": list(reversed(NOUNS)), "score": [i % 5 / 4 for i in range(10)]}
    )
    found = []
    for number, seed in enumerate((1, 1, 2)):
        torch.rand(number)  # whatever was drawn before
        run = nearfar.train(
            recipe, scored, model=plain_model_folder, evaluation=scored, out=tmp_path / str(number), seed=seed,
            max_steps=1, **SMALL,
        )  # fmt: skip
        found.append(run.metrics["before"])
    assert found[0] == found[1] != found[2]


def test_a_length_that_the_model_cannot_read_is_refused_before_anything_is_written(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        nearfar.train("infonce", pairs(0, 9), model=tiny_model_folder, out=tmp_path / "run", max_length=100, **SMALL)
    assert caught.value.field == "max_length"
    assert not (tmp_path / "run").exists()


class Refusing(torch.nn.Module):
    """A loss that finds at a later step that it cannot use its rows."""

    def __init__(self, model: Any, at: int) -> None:
        super().__init__()
        self.loss, self.at, self.steps = ContrastLoss(model), at, 0

    def forward(self, features: Any, labels: Any) -> Any:
        self.steps += 1
        if self.steps == self.at:
            raise InputError("a row has no negative")
        return self.loss(features, labels)


@pytest.mark.parametrize(("at", "kept"), [(1, False), (4, True)])
def test_refused_rows_leave_a_free_folder_unless_there_is_a_checkpoint(
    at: int, kept: bool, tiny_model_folder: Path, tmp_path: Path
) -> None:
    def prepare(model: Any, rows: Any, options: TrainingOptions) -> Plan:
        return Plan(model, Stage(rows, Refusing(model, at)))

    recipe = Recipe("tiny_refusing", {"rows": ("pairs",)}, TrainingOptions, prepare)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match="no negative"):
        nearfar.train(
            recipe, pairs(0, 20), model=tiny_model_folder, out=folder.path, max_steps=5, save_steps=2, **SMALL
        )
    assert folder.configuration.exists() == kept
    assert (folder.last_checkpoint() is not None) == kept
    if not kept:
        folder.check_free(resume=False)


def test_the_speed_of_steps_made_earlier_is_kept_where_none_was_left(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    known = {"tokens_per_second": 100.0, "seconds": 2.0}
    fresh, nothing = {"tokens_per_second": 7.0, "seconds": 1.0}, {"tokens_per_second": None, "seconds": 0.0}
    assert _with_known_speed({"speed": nothing}, folder) == {"speed": nothing}
    folder.write_json(folder.metrics, {"speed": known})
    assert _with_known_speed({"speed": nothing, "more": 1}, folder) == {"speed": known, "more": 1}
    assert _with_known_speed({"speed": fresh}, folder) == {"speed": fresh}
    assert _with_known_speed({}, folder) == {}
