"""BPMN 2.0."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from flows import booking_flow, hostile_flow
from nearfar.dialogue import Rules, write
from nearfar.dialogue.exports import as_bpmn
from nearfar.dialogue.exports.names import activities, clean
from nearfar.dialogue.graph import FIRST

FLOWS = {"booking": booking_flow(30), "hostile": hostile_flow(), "empty": booking_flow(5, rules=Rules("max", 1.0, 1.0))}
MODEL, DI = "{http://www.omg.org/spec/BPMN/20100524/MODEL}", "{http://www.omg.org/spec/BPMN/20100524/DI}"
DC, DD = "{http://www.omg.org/spec/DD/20100524/DC}", "{http://www.omg.org/spec/DD/20100524/DI}"


@pytest.mark.parametrize("name", FLOWS)
def test_the_steps_between_the_tasks_are_the_edges_of_the_graph(name: str):
    flow = FLOWS[name]
    graph = flow.graph()
    process = ElementTree.fromstring(as_bpmn(flow))[0]
    sequence = process.findall(f"{MODEL}sequenceFlow")
    by_source: dict[str, list[Any]] = {}
    for step in sequence:
        by_source.setdefault(step.attrib["sourceRef"], []).append(step.attrib)
    node_of = {f"node_{node}": node for node in graph.nodes}

    def next_nodes(key: str, count: str | None) -> list[tuple[int, int]]:
        if key in node_of:
            return [(node_of[key], int(count or 0))]
        return [each for of in by_source[key] for each in next_nodes(of["targetRef"], of.get("name", count))]

    found = {
        (node, after): times
        for key, node in node_of.items()
        for of in by_source.get(key, [])
        for after, times in next_nodes(of["targetRef"], of.get("name"))
    }
    assert found == graph.counts
    # A task without a gateway has one previous and one next step.
    for element in process:
        if element.tag == f"{MODEL}task":
            kinds = Counter(child.tag for child in element)
            assert kinds[f"{MODEL}incoming"] == kinds[f"{MODEL}outgoing"] == 1
    names = [each.attrib["name"] for each in process.findall(f"{MODEL}task")]
    assert names == [activities(flow)[node - FIRST] for node in graph.actions]


def test_the_typical_utterances_are_the_documentation_of_a_task():
    flow = FLOWS["hostile"]
    task = ElementTree.fromstring(as_bpmn(flow))[0].find(f"{MODEL}task")
    assert task is not None
    texts = [clean(flow.log.texts[text]) for text, _ in flow.described[int(task.attrib["id"][5:]) - FIRST].examples]
    assert task.findtext(f"{MODEL}documentation") == "\n".join(texts)


@pytest.mark.parametrize("name", FLOWS)
def test_everything_is_drawn_and_no_shapes_overlap(name: str):
    root = ElementTree.fromstring(as_bpmn(FLOWS[name]))
    process, plane = root[0], root[1][0]
    drawn = [each.attrib["bpmnElement"] for each in plane]
    assert sorted(drawn) == sorted(each.attrib["id"] for each in process)
    boxes = []
    for shape in plane.findall(f"{DI}BPMNShape"):
        bounds = shape.find(f"{DC}Bounds")
        assert bounds is not None
        x, y, width, height = (int(bounds.attrib[key]) for key in ("x", "y", "width", "height"))
        assert min(x, y) >= 0
        boxes.append((x, y, x + width, y + height))
    for i, (a, b, c, d) in enumerate(boxes):
        assert not any(a < u and c > s and b < v and d > t for s, t, u, v in boxes[:i])
    for edge in plane.findall(f"{DI}BPMNEdge"):
        assert len(edge.findall(f"{DD}waypoint")) >= 2


def test_the_schema_and_pm4py_accept_it(tmp_path: Path):
    pm4py = pytest.importorskip("pm4py")
    for name in ("booking", "hostile"):
        file = write(FLOWS[name], tmp_path / f"{name}.bpmn")
        assert len(pm4py.read_bpmn(str(file)).get_flows()) > len(FLOWS[name].graph().nodes)
    schema = pytest.importorskip("SpiffWorkflow.bpmn.parser.BpmnParser").BpmnValidator()
    etree = pytest.importorskip("lxml.etree")
    for name in FLOWS:
        schema.validate(etree.parse(write(FLOWS[name], tmp_path / f"{name}.bpmn")), name)
