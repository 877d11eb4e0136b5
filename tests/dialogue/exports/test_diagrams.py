"""Graphs in Mermaid's and Graphviz's languages, also with hostile texts."""

from __future__ import annotations

import html
import re

import pytest

from flows import booking_flow, hostile_flow
from nearfar.dialogue.exports import as_dot, as_mermaid
from nearfar.reports.text import plain

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
