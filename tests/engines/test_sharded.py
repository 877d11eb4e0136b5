"""Two and three processes over gloo, with shards of different sizes: value and gradients are those of one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sharded_worker

from joint_processes import joint

Results = list[dict[str, Any]]


@pytest.fixture(scope="module", params=[2, 3], ids=["two", "three"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What each process found; all cases run in one start, since a start takes seconds."""
    processes, folder = request.param, tmp_path_factory.mktemp("gloo")
    joint(sharded_worker.work, folder, processes)
    return [json.loads(Path(folder, f"rank{rank}.json").read_text()) for rank in range(processes)]


@pytest.mark.parametrize("case", sharded_worker.CASES)
def test_equals_one_process(results: Results, case: str) -> None:
    tolerance = 1e-6 if case == "float32" else 1e-11
    for rank, result in enumerate(results):
        found = result["cases"][case]
        assert {"loss", "anchors", "candidates", "temperature"} <= found.keys()
        assert max(found.values()) < tolerance, (rank, found)


@pytest.mark.parametrize(
    ("case", "messages"),
    [
        ("nan elsewhere", ["another process contain NaN", "anchors[2] contains NaN"]),
        ("no positive", ["no anchor has a positive"]),
        ("too few", ["process 1 has 3 anchors and 2 candidates"]),
        ("weights", ["another process contain NaN", "anchors[2] contains NaN"]),
        ("labels", ["expected 3 rows, one for each candidate of this process, got 2"]),
    ],
)
def test_every_process_gets_an_error(results: Results, case: str, messages: list[str]) -> None:
    for rank, result in enumerate(results):
        expected = messages[rank] if rank < len(messages) else messages[0]
        assert expected in result["errors"][case]


def test_an_error_leaves_the_group_in_step(results: Results) -> None:
    assert len({result["in order"][0] for result in results}) == 1
