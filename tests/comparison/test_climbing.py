"""The rungs of a search; jobs only write a result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from nearfar.comparison import runner
from nearfar.comparison.climbing import climb
from nearfar.comparison.configurations import configurations
from nearfar.comparison.fitting import Fit
from nearfar.comparison.folder import ComparisonFolder
from nearfar.comparison.jobs import Failed, Job
from nearfar.comparison.leaks import find_leaks
from nearfar.comparison.prepared import Prepared
from nearfar.comparison.request import Request
from nearfar.errors import InputError
from nearfar.recipes import get

ROWS = Dataset.from_dict({"anchor": [f"a {i}" for i in range(640)], "positive": [f"p {i}" for i in range(640)]})
RATES = ["1", "2", "3", "4", "5"]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    ran: list[Job] = []

    def run_job(job: Job, folder: Path, progress: Callable[..., None] | None = None) -> Failed | None:
        ran.append(job)
        steps = job.trial or job.settings["max_steps"]
        score = float(job.settings["learning_rate"]) / 10  # the highest rate is the best
        found: dict[str, Any] = {"primary": "ndcg@10", "metrics": {"ndcg@10": score}, "name": job.name}
        found["cost"] = {"steps": steps, "seconds": 2.0 + 0.5 * steps, "seconds_a_step": 0.5}
        if job.settings["learning_rate"] == "5" and "rungs/1" in job.result:
            return Failed("it diverged", False)
        Path(job.result).parent.mkdir(parents=True, exist_ok=True)
        Path(job.result).write_text(json.dumps(found))
        return None

    monkeypatch.setattr(runner, "run_job", run_job)
    return ran


def climbed(folder: Path, **more: Any) -> Any:
    request = Request([get("infonce")], "rows.jsonl", seeds=2, search={"learning_rate": RATES}, **more)
    prepared = Prepared(ROWS, ROWS, "retrieval", find_leaks(ROWS, ROWS.select([0])), None, 0, False, ("a", "b"))
    folder.mkdir(exist_ok=True)
    return climb(
        request, ComparisonFolder(folder), prepared, configurations(request, [Fit("infonce")]), time.monotonic()
    )


def test_rungs_see_more_and_more_rows(tmp_path: Path, jobs: list[Job]):
    found = climbed(tmp_path / "out")
    first, last = found.rungs
    assert set(first["steps"].values()) == {5}
    assert set(last["steps"].values()) == {10}
    assert (first["seeds"], last["seeds"]) == (1, 2)
    # One failed and does not go on; it is named.
    assert last["kept"] == [f"infonce+learning_rate={rate}" for rate in ("2", "3", "4")]
    assert [(each.recipe, each.reason) for each in found.failures] == [("infonce+learning_rate=5", "it diverged")]
    assert {name: len(runs) for name, runs in found.results.items()} == dict.fromkeys(last["kept"], 2)


def test_minutes_are_shared_by_the_rungs(tmp_path: Path, jobs: list[Job]):
    found = climbed(tmp_path / "out", budget=10)
    first, last = found.rungs
    # Five minutes for five runs, and five for three configurations of two seeds.
    assert all(100 < steps <= 120 for steps in first["steps"].values())
    assert all(80 < steps <= 100 for steps in last["steps"].values())
    # A learning rate does not change the time of a step, so that one trial is enough.
    assert [bool(job.trial) for job in jobs[:2]] == [True, False]
    count = len(jobs)
    again = climbed(tmp_path / "out", budget=10)
    # Only what failed is tried again, with the same steps.
    assert [job.name for job in jobs[count:]] == ["infonce+learning_rate=5-0"]
    assert again.rungs == found.rungs


def test_too_few_minutes_are_known_before_any_run(tmp_path: Path, jobs: list[Job]):
    with pytest.raises(InputError, match="--budget"):
        climbed(tmp_path / "out", budget=0.1)
    assert all(job.trial for job in jobs)
