"""What may change when a finished run is trained further."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nearfar.errors import InputError
from nearfar.training.longer import check_longer

FILE = Path("run.yaml")


def check(done: list[int], stages: list[dict[str, Any]], grows: str | None = None, **changed: tuple[Any, Any]) -> None:
    options = [SimpleNamespace(**{"epochs": 1.0, "max_steps": 0, **each}) for each in stages]
    ready: Any = SimpleNamespace(plan=SimpleNamespace(grows=grows), options=options)
    folder: Any = SimpleNamespace(configuration=FILE, finished_steps=lambda: done)
    check_longer(changed, ready, folder)


def test_the_last_stage_may_become_longer() -> None:
    check([10], [{}])
    check([10], [{"epochs": 2.0}], epochs=(1.0, 2.0))
    check([10], [{"max_steps": 12}], max_steps=(10, 12))
    check([10], [{"max_steps": 10}], max_steps=(0, 10))
    check([10, 10], [{"max_steps": 10}, {"max_steps": 12}], max_steps=(10, 12))


def test_stages_may_be_added() -> None:
    check([10, 10], [{}, {}, {}], "rounds", rounds=(2, 3))


def test_tasks_may_be_added_to_a_stream_that_allows_it() -> None:
    check([10, 10], [{}, {}, {}], "stream", stream=(["a", "b"], ["a", "b", "c"]))
    with pytest.raises(InputError, match=r"^run\.yaml: data: "):
        check([10, 10], [{}, {}, {}], None, stream=(["a", "b"], ["a", "b", "c"]))


@pytest.mark.parametrize(
    ("done", "stages", "changed", "field"),
    [
        ([10], [{}], {"learning_rate": (1, 2)}, "learning_rate"),
        ([10], [{}], {"rounds": (1, 2)}, "rounds"),  # of another recipe
        ([10], [{"epochs": 0.5}], {"epochs": (1.0, 0.5)}, "epochs"),
        ([10], [{"max_steps": 8}], {"max_steps": (10, 8)}, "max_steps"),
        ([10, 10], [{"epochs": 2.0}, {"epochs": 2.0}], {"epochs": (1.0, 2.0)}, "epochs"),
        ([10, 10], [{"max_steps": 12}, {"max_steps": 12}], {"max_steps": (10, 12)}, "max_steps"),
        ([10], [{}], {"max_steps": (10, 0)}, "epochs"),
    ],
)
def test_all_else_is_refused(done: list[int], stages: list[dict], changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=rf"^run\.yaml: options\.{field}: "):
        check(done, stages, **changed)


def test_stages_cannot_be_taken_away() -> None:
    with pytest.raises(InputError, match=r"^run\.yaml: options\.rounds: .*\b2 stages"):
        check([10, 10], [{}], "rounds", rounds=(2, 1))
