"""Which jobs a comparison runs, with how many steps, and what is kept; the jobs themselves only say a result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, concatenate_datasets

from nearfar.comparison import runner
from nearfar.comparison.budget import TRIAL_STEPS, settings_for
from nearfar.comparison.configurations import one_of_each
from nearfar.comparison.fitting import Fit
from nearfar.comparison.folder import ComparisonFolder
from nearfar.comparison.jobs import Failed, Job
from nearfar.comparison.leaks import find_leaks
from nearfar.comparison.prepared import Prepared
from nearfar.comparison.request import Request
from nearfar.comparison.runner import Runner
from nearfar.comparison.variants import Variant
from nearfar.errors import InputError
from nearfar.recipes import get

ROWS = Dataset.from_dict({"anchor": [f"a {i}" for i in range(640)], "positive": [f"p {i}" for i in range(640)]})
NAMES = ("infonce", "simcse")


class Jobs:
    """Runs no process: notes what it was to do, and writes a result.

    Args:
        failing: Name of a job to how it fails.
        pace: Seconds a step of each recipe.
    """

    def __init__(self) -> None:
        self.ran: list[Job] = []
        self.failing: dict[str, Failed] = {}
        self.pace = {"infonce": 0.5, "simcse": 0.25}

    def __call__(self, job: Job, folder: Path, progress: Callable[..., None] | None = None) -> Failed | None:
        self.ran.append(job)
        if job.name in self.failing:
            return self.failing[job.name]
        # Half of the training, as a process of two stages would count it.
        steps = job.trial or job.settings.get("max_steps", 0)
        if progress is not None:
            progress(2 * steps, 4 * steps, 1.0)
        found: dict[str, Any] = {"primary": "ndcg@10", "metrics": {"ndcg@10": 0.5}, "name": job.name}
        if job.recipe is not None:
            pace = self.pace[job.recipe]
            found["cost"] = {"steps": steps, "seconds": 2.0 + steps * pace, "seconds_a_step": pace}
        Path(job.result).parent.mkdir(parents=True, exist_ok=True)
        Path(job.result).write_text(json.dumps(found))
        return None

    @property
    def names(self) -> list[str]:
        return [job.name for job in self.ran]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    found = Jobs()
    monkeypatch.setattr(runner, "run_job", found)
    return found


def made(folder: Path, learn: bool = False, rows: Dataset = ROWS, **more: Any) -> Runner:
    request = Request([get(name) for name in NAMES], "rows.jsonl", **{"seeds": 2, **more})
    leaks = find_leaks(ROWS.select([0]), ROWS.select([1]))
    prepared = Prepared(rows, ROWS, "retrieval", leaks, None, 0, learn, ("a", "b"))
    own = settings_for(NAMES, {name: get(name).options for name in NAMES}, request.settings)
    folder.mkdir(exist_ok=True)
    fitting = [Fit(name, on_texts=name == "simcse") for name in NAMES]
    return Runner(request, ComparisonFolder(folder), prepared, one_of_each(request, fitting, own))


def settled(folder: Path, settings: dict[str, Any], **more: Any) -> tuple[dict[str, int], str]:
    """Steps of each recipe, and what a reader is told of them."""
    one = made(folder, settings=settings, **more)
    (said,) = one.settle(0.0)
    assert json.loads((folder / "budget.json").read_text()) == {"steps": one.steps}
    return one.steps, said


def test_steps_are_equal_in_rows_unless_options_say_otherwise(tmp_path: Path):
    own = {name: get(name).options().batch_size for name in NAMES}
    equal, said = settled(tmp_path, {})
    # One pass for each, whatever the recipe's own default.
    assert equal == {name: round(640 / size) for name, size in own.items()}
    assert "640" in said
    twice, said = settled(tmp_path, {"epochs": 2, "batch_size": 32})
    assert twice == {"infonce": 40, "simcse": 40}
    assert "1,280" in said
    half, said = settled(tmp_path, {"epochs": 0.5, "batch_size": 32})
    assert half == {"infonce": 10, "simcse": 10}
    assert "320" in said
    unequal, other = settled(tmp_path, {"infonce.epochs": 3, "batch_size": 32})
    assert unequal == {"infonce": 60, "simcse": 20}
    # No number of rows holds for both.
    assert "640" not in other
    assert "1,920" not in other
    by_steps, alike = settled(tmp_path, {"max_steps": 7, "batch_size": 32})
    assert by_steps == {"infonce": 7, "simcse": 7}
    mixed, differing = settled(tmp_path, {"infonce.max_steps": 9, "batch_size": 32})
    assert mixed == {"infonce": 9, "simcse": 20}
    # Four different things are said.
    assert len({said.replace("320", ""), other, alike, differing}) == 4


def test_a_recipes_own_epochs_are_no_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from dataclasses import dataclass, replace

    from nearfar.kinds.options import TrainingOptions

    @dataclass(frozen=True)
    class Long(TrainingOptions):
        epochs: float = 9.0
        batch_size: int = 64

    one = made(tmp_path)
    one.recipes = {"infonce": replace(get("infonce"), options=Long), "simcse": get("simcse")}
    one.settle(0.0)
    assert one.steps["infonce"] == 10


def test_jobs_by_seed_then_by_recipe(tmp_path: Path, jobs: Jobs):
    seen: list[tuple[int, int]] = []
    one = made(tmp_path, settings={"epochs": 3, "batch_size": 64, "simcse.temperature": 0.5},
               progress=lambda done, of, _: seen.append((done, of)), learn=True)  # fmt: skip
    one.measure_base()
    one.settle(0.0)
    one.steps["simcse"] = 12
    found = one.run_all()
    assert jobs.names == ["base", "infonce-0", "simcse-0", "infonce-1", "simcse-1"]
    base, infonce, simcse = jobs.ran[:3]
    assert (base.recipe, base.settings) == (None, {})
    assert [job.seed for job in jobs.ran] == [0, 0, 0, 1, 1]
    # How long each trains is settled: no epochs beside the steps, five checkpoints at most.
    assert infonce.settings == {"batch_size": 64, "max_steps": 30, "save_steps": 6}
    assert simcse.settings == {"batch_size": 64, "max_steps": 12, "save_steps": 3, "temperature": 0.5}
    assert (Path(infonce.training).name, Path(simcse.training).name) == ("training.parquet", "texts.parquet")
    assert infonce.learn == infonce.training
    # All runs count: half of one, one, one and a half, ...
    assert seen == [(15, 84), (30, 84), (36, 84), (42, 84), (57, 84), (72, 84), (78, 84), (84, 84)]
    assert {name: len(runs) for name, runs in found.results.items()} == {"infonce": 2, "simcse": 2, "base": 1}
    assert found.budget == {"steps": {"infonce": 30, "simcse": 12}}


def test_settings_of_a_recipe_stand_above_the_default_of_checkpoints(tmp_path: Path, jobs: Jobs):
    one = made(tmp_path, settings={"max_steps": 100, "save_steps": 50})
    one.settle(0.0)
    one.measure_base()
    one.run_all()
    assert {job.settings["save_steps"] for job in jobs.ran[1:]} == {50}
    assert {job.settings["max_steps"] for job in jobs.ran[1:]} == {100}
    assert jobs.ran[1].learn is None


def test_settled_steps_stand_above_options(tmp_path: Path, jobs: Jobs):
    """No max_steps, asked for in so many words, is no training of another length."""
    one = made(tmp_path, settings={"max_steps": 0, "epochs": 2, "batch_size": 64})
    one.settle(0.0)
    one.measure_base()
    one.run_all()
    assert {job.settings["max_steps"] for job in jobs.ran[1:]} == {20}


def test_what_is_done_is_not_run_again(tmp_path: Path, jobs: Jobs):
    for _ in range(2):
        one = made(tmp_path)
        one.measure_base()
        one.settle(0.0)
        one.run_all()
    assert len(jobs.ran) == 5
    (tmp_path / "results/simcse-1.json").unlink()
    one = made(tmp_path)
    one.settle(0.0)
    one.run_all()
    assert jobs.names[5:] == ["simcse-1"]


def test_a_recipe_that_fails_is_left_and_the_others_go_on(tmp_path: Path, jobs: Jobs):
    seen: list[int] = []
    jobs.failing = {"infonce-0": Failed("no memory", False)}
    one = made(tmp_path, progress=lambda done, *_: seen.append(done), settings={"max_steps": 10})
    one.measure_base()
    one.settle(0.0)
    found = one.run_all()
    assert jobs.names == ["base", "infonce-0", "simcse-0", "simcse-1"]
    assert [(each.recipe, each.seed, each.reason) for each in found.failures] == [("infonce", 0, "no memory")]
    assert set(found.results) == {"simcse", "base"}
    assert seen[-1] == 40
    jobs.failing = {f"{name}-0": Failed("no memory", False) for name in NAMES}
    failing = made(tmp_path / "other")
    failing.settle(0.0)
    with pytest.raises(RuntimeError, match="no memory"):
        failing.run_all()


@pytest.mark.parametrize(("refused", "error"), [(True, InputError), (False, RuntimeError)])
def test_a_base_model_that_cannot_be_measured(refused: bool, error: type, tmp_path: Path, jobs: Jobs):
    jobs.failing = {"base": Failed("why", refused)}
    with pytest.raises(error, match="why"):
        made(tmp_path).measure_base()


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> float:
    """The time, at which the clock stands still: no second is spent but those that jobs say."""
    monkeypatch.setattr(runner.time, "monotonic", lambda: 1000.0)
    return 1000.0


def test_minutes_are_settled_once_by_trials(tmp_path: Path, jobs: Jobs, still: float):
    one = made(tmp_path, budget=60.0, settings={"save_steps": 3})
    one.settle(still)
    assert jobs.names == ["trial-infonce", "trial-simcse"]
    assert [(job.trial, job.settings["max_steps"], job.settings["save_steps"]) for job in jobs.ran] == [
        (TRIAL_STEPS, 0, TRIAL_STEPS)
    ] * 2
    assert not (tmp_path / "trials").exists()
    kept = json.loads((tmp_path / "budget.json").read_text())
    assert {name: trial["pace"] for name, trial in kept["trials"].items()} == jobs.pace
    assert {trial["fixed"] for trial in kept["trials"].values()} == {2.0}
    # 900 s for each of four trainings, two of them before the first step.
    assert kept["steps"] == {"infonce": int(898 / 0.5), "simcse": int(898 / 0.25)}
    again = made(tmp_path, budget=60.0)
    again.settle(still)
    assert len(jobs.ran) == 2
    assert again.steps == one.steps == kept["steps"]
    again.measure_base()
    assert again.run_all().budget == kept


def test_seconds_that_are_gone_are_not_shared(tmp_path: Path, jobs: Jobs, still: float):
    one = made(tmp_path, budget=60.0)
    one.settle(still - 600)
    assert one.steps == {"infonce": int((750 - 2) / 0.5), "simcse": int((750 - 2) / 0.25)}


def test_a_recipe_whose_trial_fails_gets_no_share(tmp_path: Path, jobs: Jobs, still: float):
    jobs.failing = {"trial-infonce": Failed("too long", True)}
    for _ in range(2):  # remembered by the one that resumes
        one = made(tmp_path, budget=60.0)
        one.settle(still)
        one.measure_base()
        found = one.run_all()
        assert [(each.recipe, each.reason) for each in found.failures] == [("infonce", "too long")]
        assert set(found.results) == {"simcse", "base"}
        assert one.steps == {"simcse": int((1800 - 2) / 0.25)}
    assert jobs.names == ["trial-infonce", "trial-simcse", "base", "simcse-0", "simcse-1"]
    jobs.failing["trial-simcse"] = Failed("too long", True)
    with pytest.raises(RuntimeError, match="too long"):
        made(tmp_path / "other", budget=60.0).settle(still)


def test_variants_have_the_same_budget(tmp_path: Path, jobs: Jobs, still: float):
    """Of more rows and of fewer, as many are seen; each has a trial of its own, because its rows may be longer."""
    few, many = ROWS.select(range(40)), concatenate_datasets([ROWS, ROWS])
    request = Request([get("infonce")], "rows.jsonl", seeds=1, settings={"batch_size": 64})
    leaks = find_leaks(few, ROWS.select([0]))
    variants = {"few": Variant(few, leaks), "many": Variant(many, leaks)}
    prepared = Prepared(ROWS, ROWS, "retrieval", leaks, None, 0, False, ("a", "b"), variants)
    fitting = [Fit("infonce", variant=name) for name in prepared.training_sets]
    chosen = one_of_each(request, fitting, {"infonce": {"batch_size": 64}})
    one = Runner(request, ComparisonFolder(tmp_path), prepared, chosen, base=False)
    one.settle(still)
    # A batch of the few has 40 rows.
    assert one.steps == {"infonce": 10, "infonce+few": 16, "infonce+many": 10}
    one.run_all()
    assert [(job.name, Path(job.training).name, job.rows_in_step) for job in jobs.ran] == [
        ("infonce-0", "training.parquet", 64),
        ("infonce+few-0", "training-few.parquet", 40),
        ("infonce+many-0", "training-many.parquet", 64),
    ]
    assert set(one.time_trials()[0]) == set(chosen)
    assert jobs.names[3:] == ["trial-infonce", "trial-infonce+few", "trial-infonce+many"]
