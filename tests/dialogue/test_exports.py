"""Graphs in the formats of other programs, also with hostile texts."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from flows import booking_flow, hostile_flow
from nearfar.dialogue import Rules, write
from nearfar.dialogue.exports import as_dot, as_json, as_mermaid
from nearfar.reports.text import plain

from .helpers import refused

FLOWS = {"booking": booking_flow(30), "hostile": hostile_flow()}
MERMAID_NODE = re.compile(r'  n(\d+)(?:\(\["([^"\n]*)"\]\)|\["([^"\n]*)"\])')
MERMAID_EDGE = re.compile(r"  n(\d+) -->\|(\d+)\| n(\d+)")
DOT_NODE = re.compile(r'  n(\d+) \[label="((?:[^"\\\n]|\\["\\n])*)"(?:, shape=oval)?\];')
DOT_EDGE = re.compile(r'  n(\d+) -> n(\d+) \[label="(\d+)"\];')


def wanted(flow) -> tuple[dict[int, str], set[tuple[int, int, int]]]:
    graph = flow.graph()
    names = {0: "start", 1: "end"}
    for node in graph.actions:
        names[node] = f"{flow.speaker_of(node)}: {flow.described[node - 2].name}"
    texts = {node: " ".join(plain(names[node]).split()) for node in graph.nodes}
    return texts, {(a, b, count) for (a, b), count in graph.counts.items()}


@pytest.mark.parametrize("name", FLOWS)
def test_mermaid_has_all_nodes_and_edges_in_its_grammar(name):
    first, *lines = as_mermaid(FLOWS[name]).splitlines()
    assert first == "flowchart TD"
    nodes, edges = {}, set()
    for line in lines:
        if found := MERMAID_NODE.fullmatch(line):
            text = found[2] or found[3]
            assert not re.search(r"[<>`&*_~\[\]{}|\\]", text)
            nodes[int(found[1])] = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), text)
        else:
            found = MERMAID_EDGE.fullmatch(line)
            assert found, line
            edges.add((int(found[1]), int(found[3]), int(found[2])))
    assert (nodes, edges) == wanted(FLOWS[name])


@pytest.mark.parametrize("name", FLOWS)
def test_dot_has_all_nodes_and_edges_in_its_grammar(name):
    lines = as_dot(FLOWS[name]).splitlines()
    assert lines[0] == "digraph flow {"
    assert lines[-1] == "}"
    nodes, edges = {}, set()
    for line in lines[2:-1]:
        if found := DOT_NODE.fullmatch(line):
            text = re.sub(r"\\(.)", lambda mark: " " if mark[1] == "n" else mark[1], found[2])
            nodes[int(found[1])] = html.unescape(text)
        else:
            found = DOT_EDGE.fullmatch(line)
            assert found, line
            edges.add((int(found[1]), int(found[2]), int(found[3])))
    assert (nodes, edges) == wanted(FLOWS[name])


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


@pytest.mark.parametrize("name", ["flow.pdf", "flow", "dir.html"])
def test_invalid_targets_are_refused_before_anything_is_written(name: str, tmp_path: Path):
    (tmp_path / "dir.html").mkdir()
    assert refused(lambda: write(FLOWS["booking"], tmp_path / name)) == (name, None, "--out")
    assert [path.name for path in tmp_path.iterdir()] == ["dir.html"]


def test_an_empty_graph_is_written_too(tmp_path: Path):
    flow = booking_flow(5, rules=Rules("prob-out", 1.0, 1.0))
    assert flow.graph().nodes == {}
    for ending in ("html", "json", "mmd", "dot"):
        assert write(flow, tmp_path / f"flow.{ending}").stat().st_size > 10


def test_the_notes_about_the_log_are_in_the_json():
    flow = booking_flow(30)
    noted = replace(flow, log=replace(flow.log, notes=("left out 1 line\x00",)))
    assert json.loads(as_json(noted))["about"]["notes"] == ["left out 1 line\ufffd"]
    assert json.loads(as_json(flow))["about"]["notes"] == []
