"""The graph as JSON, with its quality."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flows import booking_flow, hostile_flow
from nearfar.dialogue import write
from nearfar.dialogue.exports import as_json, quality

FLOWS = {"booking": booking_flow(30), "hostile": hostile_flow()}


@pytest.mark.parametrize("name", FLOWS)
def test_json_contains_the_pruned_graph(name, tmp_path: Path):
    flow = FLOWS[name]
    found = json.loads(write(flow, tmp_path / "flow.json").read_text("utf-8"))
    graph = flow.graph()
    assert {node["id"]: node.get("count", 1) for node in found["nodes"]} == graph.nodes
    assert {(e["source"], e["target"]): (e["count"], e["weight"]) for e in found["edges"]} == {
        edge: (count, graph.weights[edge]) for edge, count in graph.counts.items()
    }
    assert found["happy_path"] == flow.happy_path()
    assert found["about"]["dialogues"] == len(flow.log)
    texts = {example["text"] for node in found["nodes"] for example in node.get("examples", [])}
    assert texts <= set(flow.log.texts)


def test_the_notes_about_the_log_are_in_the_json():
    flow = booking_flow(30)
    noted = replace(flow, log=replace(flow.log, notes=("left out 1 line\x00",)))
    assert json.loads(as_json(noted))["about"]["notes"] == ["left out 1 line\ufffd"]
    assert json.loads(as_json(flow))["about"]["notes"] == []


def test_the_quality_is_in_the_json():
    flow = booking_flow(30)
    of = flow.explained()
    assert quality(flow) == {
        "explained": {"dialogues": of.dialogues, "steps": of.steps, "repeats": of.repeats},
        "held_out": None,
    }
    assert json.loads(as_json(flow))["quality"] == quality(flow)
