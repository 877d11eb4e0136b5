"""Writing a workflow: the suffix decides the format."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import booking_flow, hostile_flow
from nearfar.dialogue import Rules, write
from nearfar.dialogue.exports import WRITERS

from ..helpers import refused

FLOWS = {"booking": booking_flow(30), "hostile": hostile_flow()}


@pytest.mark.parametrize("name", ["flow.pdf", "flow", "dir.html", "flow.csv", "flow.yml", ".html"])
def test_invalid_targets_are_refused_before_anything_is_written(name: str, tmp_path: Path):
    (tmp_path / "dir.html").mkdir()
    assert refused(lambda: write(FLOWS["booking"], tmp_path / name)) == (name, None, "--out")
    assert [path.name for path in tmp_path.iterdir()] == ["dir.html"]


def test_an_empty_graph_is_written_too(tmp_path: Path):
    flow = booking_flow(5, rules=Rules("prob-out", 1.0, 1.0))
    assert flow.graph().nodes == {}
    for ending in WRITERS:
        assert write(flow, tmp_path / f"flow{ending}").stat().st_size > 10


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("ending", WRITERS)
def test_a_file_is_complete_or_the_earlier_one_stays(name: str, ending: str, tmp_path: Path, monkeypatch):
    path = tmp_path / f"a.b{ending.upper()}"
    path.write_text("before")
    monkeypatch.setitem(WRITERS, ending, lambda flow: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(FLOWS[name], path)
    assert path.read_text() == "before"
    monkeypatch.undo()
    assert write(FLOWS[name], path).read_text("utf-8") == WRITERS[ending](FLOWS[name])
    assert list(tmp_path.iterdir()) == [path]
