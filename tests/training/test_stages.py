"""Training a plan: whose options hold in which stage, how steps and progress are counted, and what is resumed.

What is trained is a kind of model made for these tests, whose trainer only counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.evaluation.result import Result
from nearfar.kinds._trainer_files import COMPLETE
from nearfar.kinds.kind import Kind, Setting
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.training.folder import RunFolder
from nearfar.training.stages import prepared, train_plan, train_stages

Event = tuple[Any, ...]


class Counting(Kind):
    """A kind whose trainers take one step a tenth of an epoch, and note what happens.

    Args:
        events: What happened, in order.
    """

    name, words = "counting", "a counter"

    def __init__(self, events: list[Event]) -> None:
        self.events, self.net = events, torch.nn.Linear(1, 1)

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> Any:
        raise AssertionError

    @property
    def host(self) -> Any:
        return self

    @property
    def module(self) -> Any:
        return self.net

    def write(self, folder: Path) -> None:
        raise AssertionError

    def fingerprint(self, name: object) -> str | None:
        return None

    def configure(self, options: TrainingOptions) -> None:
        self.events.append(("configure", options.batch_size))

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        self.events.append(("check", stage.name, options.max_steps))

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        return Trainer(self, stage, options, setting)

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        return {"trainers": [each.stage.name for each in trainers]}


class Trainer:
    """Stands in for a trainer of Hugging Face's family."""

    def __init__(self, kind: Counting, stage: Stage, options: TrainingOptions, setting: Setting) -> None:
        self.kind, self.stage, self.options, self.setting = kind, stage, options, setting
        self.drawn = [{"rows": options.batch_size}]
        self.follow = None
        torch.rand(3)  # as a new head would, whose size is another in each stage

    def train_or_resume(self, checkpoint: Path | None) -> None:
        batches = 10 if self.stage.rows is None else len(self.stage.rows) // self.options.batch_size
        steps = self.options.max_steps or round(batches * self.options.epochs)
        self.kind.events.append(("train", self.stage.name, steps, checkpoint, torch.rand(()).item()))
        torch.rand(steps)  # as dropout would, and less in a stage that is resumed
        self.kind.net.train()
        if self.setting.progress is not None:
            for step in range(1, steps + 1):
                self.setting.progress(step, steps, None)
        if self.setting.measure is not None:
            self.kind.events.append(("followed", self.setting.measure()))
        self.state = SimpleNamespace(global_step=steps, log_history=[{"step": steps, "loss": float(steps)}])


@pytest.fixture
def events() -> list[Event]:
    return []


def of(events: list[Event], kind: str) -> list[Event]:
    return [event[1:] for event in events if event[0] == kind]


def stage(name: str, **more: Any) -> Stage:
    return Stage(None, torch.nn.Identity(), name=name, **more)  # type: ignore[arg-type]


def three(events: list[Event], between: Callable[[], object] = lambda: None, **settings: Any) -> Plan:
    def stages() -> Iterator[Stage]:
        for name in ("a", "b", "c"):
            yield stage(name, settings=settings if name == "b" else None)
            events.append(("between", name, between()))

    return Plan(Counting(events), stages(), count=3)


def test_steps_are_shared_and_counted_through_all_stages(events: list[Event], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = train_plan(
        three(events), TrainingOptions(max_steps=8), tmp_path, 0, progress=lambda step, of, _: seen.append((step, of))
    )
    assert [(name, steps) for name, steps, _ in of(events, "train") and found.stages] == [("a", 3), ("b", 3), ("c", 2)]
    assert found.steps == 8
    assert [entry["step"] for entry in found.log] == [3, 6, 8]
    assert [step for step, _ in seen] == list(range(1, 9))
    assert [total for _, total in seen] == [8] * 8
    assert found.facts == {"trainers": ["a", "b", "c"]}


@pytest.mark.parametrize("listed", [True, False])
def test_progress_counts_the_steps_of_stages_of_unequal_length(
    listed: bool, events: list[Event], tmp_path: Path
) -> None:
    short, long = (Dataset.from_dict({"text": ["a"] * count}) for count in (2 * 8, 10 * 8 + 3))
    stages = [replace(stage("a"), rows=short), replace(stage("b"), rows=long)]
    plan = Plan(Counting(events), stages if listed else iter(stages), count=2)
    seen: list[tuple[int, int]] = []
    train_stages(
        prepared(plan, TrainingOptions(epochs=1, batch_size=8)),
        RunFolder(tmp_path),
        0,
        progress=lambda step, of, _: seen.append((step, of)),
        rows=None if listed else [len(short), len(long)],
    )
    assert seen == [(step, 12) for step in range(1, 13)]


def test_progress_takes_stages_of_unknown_length_for_as_long_as_this_one(events: list[Event], tmp_path: Path) -> None:
    seen: list[int] = []
    train_plan(three(events), TrainingOptions(epochs=1), tmp_path, 0, progress=lambda _, of, __: seen.append(of))
    assert set(seen) == {30}


def test_with_epochs_each_stage_trains_that_long(events: list[Event], tmp_path: Path) -> None:
    found = train_plan(three(events), TrainingOptions(epochs=2), tmp_path, 0)
    assert [steps for _, steps, _ in found.stages] == [20, 20, 20]


def test_a_stage_has_its_own_options(events: list[Event], tmp_path: Path) -> None:
    train_plan(three(events, epochs=0.5), TrainingOptions(epochs=1), tmp_path, 0)
    assert [steps for _, steps, *_ in of(events, "train")] == [10, 5, 10]


def test_max_steps_of_the_plan_stands_above_the_epochs_of_a_stage(events: list[Event], tmp_path: Path) -> None:
    train_plan(three(events, epochs=0.5), TrainingOptions(max_steps=6), tmp_path, 0)
    assert [steps for _, steps, *_ in of(events, "train")] == [2, 2, 2]
    events.clear()
    train_plan(three(events, epochs=0.5, max_steps=100), TrainingOptions(max_steps=6), tmp_path, 0)
    assert [steps for _, steps, *_ in of(events, "train")] == [2, 2, 2]


def test_a_stage_cannot_set_the_steps_of_the_plan(events: list[Event], tmp_path: Path) -> None:
    plan = Plan(Counting(events), [stage("a", settings={"max_steps": 5})])
    with pytest.raises(InputError) as caught:
        prepared(plan, TrainingOptions())
    assert caught.value.field == "max_steps"


def test_a_trial_takes_the_same_steps_of_each_stage(events: list[Event], tmp_path: Path) -> None:
    ready = prepared(three(events, epochs=7.0), TrainingOptions(epochs=9), trial=4)
    found = train_stages(ready, RunFolder(tmp_path), 0)
    assert [steps for _, steps, _ in found.stages] == [4, 4, 4]


def test_each_stage_is_checked_before_it_is_trained(events: list[Event], tmp_path: Path) -> None:
    ready = prepared(three(events), TrainingOptions(max_steps=3))
    assert [event[0] for event in events] == ["configure", "check"]  # of the first, before anything is trained
    train_stages(ready, RunFolder(tmp_path), 0)
    assert [event[:2] for event in events if event[0] in ("check", "train", "between")] == [
        ("check", "a"),
        ("train", "a"),
        ("between", "a"),
        ("check", "b"),
        ("train", "b"),
        ("between", "b"),
        ("check", "c"),
        ("train", "c"),
        ("between", "c"),
    ]


def test_the_seed_holds_for_each_stage_anew(events: list[Event], tmp_path: Path) -> None:
    """So that a resumed run, which draws less, does the same in the stages that are left."""
    draws = []
    for seed in (0, 0, 1):
        events.clear()
        train_plan(three(events, between=lambda: torch.rand(()).item()), TrainingOptions(max_steps=4), tmp_path, seed)
        assert len({draw for *_, draw in of(events, "train")}) == 1
        assert len({draw for _, draw in of(events, "between")}) == 1
        draws.append((of(events, "train"), of(events, "between")))
    assert draws[0] == draws[1] != draws[2]


def test_what_is_measured_and_when(events: list[Event], tmp_path: Path) -> None:
    plan = three(events)
    counting = plan.model

    def measure() -> Result:
        events.append(("measure", counting.net.training))
        return Result("sts", "spearman", {"spearman": 0.5, "pearson": 0.25}, 3)

    found = train_stages(prepared(plan, TrainingOptions(max_steps=3)), RunFolder(tmp_path), 0, measure=measure)
    # After each stage but the last, which the run measures itself; a model is measured in evaluation mode.
    assert [None if each is None else each.score for _, _, each in found.stages] == [0.5, 0.5, None]
    after = [events[i + 1] for i, event in enumerate(events) if event[0] == "followed"][:2]
    assert after == [("measure", False)] * 2
    assert of(events, "followed") == [({"spearman": 0.5},)] * 3
    bare = train_stages(prepared(three([]), TrainingOptions(max_steps=3)), RunFolder(tmp_path), 0)
    assert [each for _, _, each in bare.stages] == [None, None, None]


def test_the_model_is_left_in_evaluation_mode(events: list[Event], tmp_path: Path) -> None:
    plan = three(events)
    train_plan(plan, TrainingOptions(max_steps=3), tmp_path, 0)
    assert not plan.model.net.training


def test_each_stage_goes_on_from_its_own_checkpoint(events: list[Event], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    made = {}
    for number, step in ((1, 2), (2, 1)):
        made[number] = folder.checkpoints_of(number) / f"checkpoint-{step}"
        made[number].mkdir(parents=True)
        (made[number] / COMPLETE).write_text(json.dumps({}))
    train_plan(three(events), TrainingOptions(max_steps=6), tmp_path, 0)
    assert [checkpoint for *_, checkpoint, _ in of(events, "train")] == [made[1], made[2], None]


@pytest.mark.parametrize("count", [2, 4])
def test_a_generator_yields_as_many_stages_as_the_plan_says(count: int, events: list[Event], tmp_path: Path) -> None:
    plan = Plan(Counting(events), iter([stage("a"), stage("b"), stage("c")]), count=count)
    with pytest.raises(ValueError, match=f"{count} stages"):
        train_plan(plan, TrainingOptions(max_steps=8), tmp_path, 0)


def test_stages_without_a_name_are_counted(events: list[Event], tmp_path: Path) -> None:
    found = train_plan(Plan(Counting(events), [stage(""), stage("")]), TrainingOptions(max_steps=2), tmp_path, 0)
    assert len({name for name, _, _ in found.stages}) == 2
