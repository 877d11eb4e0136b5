"""A flow as an object."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import booking_flow
from nearfar.dialogue import Rules
from nearfar.dialogue.graph import prune


def test_a_flow_can_be_pruned_by_other_rules_and_by_speaker():
    flow = booking_flow(20)
    assert flow.graph().counts == prune(flow.counts(), flow.rules).counts
    rules = Rules("max", 0.5, 0.0)
    assert flow.graph(rules).counts == prune(flow.counts(), rules).counts != flow.graph().counts
    alone = flow.graph(speaker=1)
    assert {flow.speaker_of(node) for node in alone.actions} == {flow.log.speakers[1]}
    assert flow.happy_path(flow.graph(Rules("prob-out", 1.0, 1.0))) == []


@pytest.mark.parametrize("as_text", [True, False])
def test_write_is_that_of_the_package(tmp_path: Path, as_text: bool):
    path = tmp_path / "flow.mmd"
    assert booking_flow(5).write(str(path) if as_text else path) == path
    assert path.read_text("utf-8").startswith("flowchart TD\n")
