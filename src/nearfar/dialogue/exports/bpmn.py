"""The pruned graph as BPMN 2.0 with its drawing, for bpmn.io, Camunda, Signavio and others.

An action is a task with its typical utterances as documentation. There is an exclusive gateway before a
node with several previous ones, and after one with several next ones: without it, a task would start all of them. The
name of a sequence flow is how often the step occurs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from nearfar.dialogue.exports.names import activities, clean
from nearfar.dialogue.graph import END, FIRST, START, Edge, Graph

if TYPE_CHECKING:
    from nearfar.dialogue.result import Flow

_MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
_DI = "http://www.omg.org/spec/BPMN/20100524/DI"
_DC = "http://www.omg.org/spec/DD/20100524/DC"
_DD = "http://www.omg.org/spec/DD/20100524/DI"
_PREFIXES = {"bpmn": _MODEL, "bpmndi": _DI, "dc": _DC, "di": _DD}
_EVENT, _TASK, _GATEWAY = (36, 36), (160, 80), (50, 50)
_COLUMN, _ROW, _MARGIN = 440, 140, 100

Box = tuple[int, int, int, int]
"""Left, top, width and height."""


@dataclass
class _Diagram:
    """Elements and flows of a process, with their places."""

    elements: list[tuple[str, str, str, list[str]]] = field(default_factory=list)
    """Kind, ID, name and documentation."""
    boxes: dict[str, Box] = field(default_factory=dict)
    flows: list[tuple[str, str, str]] = field(default_factory=list)
    """Source, target and name."""


def as_bpmn(flow: Flow) -> str:
    """The pruned graph as BPMN 2.0."""
    graph = flow.graph()
    for prefix, uri in _PREFIXES.items():
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.Element(f"{{{_MODEL}}}definitions", id="definitions", targetNamespace="https://nearfar.dev/flow")
    diagram = _diagram(flow, graph)
    _process(root, diagram)
    _drawing(root, diagram)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _diagram(flow: Flow, graph: Graph) -> _Diagram:
    names = activities(flow)
    diagram = _Diagram()
    into, out = _degrees(graph)
    places = _places(graph)
    for node in graph.nodes:
        kind, size = ("task", _TASK) if node >= FIRST else ("startEvent" if node == START else "endEvent", _EVENT)
        name = names[node - FIRST] if node >= FIRST else ("start" if node == START else "end")
        examples = [] if node < FIRST else [clean(flow.log.texts[i]) for i, _ in flow.described[node - FIRST].examples]
        middle, height = places[node]
        _add(diagram, (kind, f"node_{node}", name, examples), middle, height, size)
        if into[node] > 1:
            _add(diagram, ("exclusiveGateway", f"join_{node}", "", []), middle - 130, height, _GATEWAY)
            diagram.flows.append((f"join_{node}", f"node_{node}", ""))
        if out[node] > 1:
            _add(diagram, ("exclusiveGateway", f"split_{node}", "", []), middle + 130, height, _GATEWAY)
            diagram.flows.append((f"node_{node}", f"split_{node}", ""))
    for (a, b), count in graph.counts.items():
        source = f"split_{a}" if out[a] > 1 else f"node_{a}"
        diagram.flows.append((source, f"join_{b}" if into[b] > 1 else f"node_{b}", str(count)))
    return diagram


def _add(
    diagram: _Diagram, element: tuple[str, str, str, list[str]], middle: int, height: int, size: tuple[int, int]
) -> None:
    diagram.elements.append(element)
    diagram.boxes[element[1]] = (middle - size[0] // 2, height - size[1] // 2, *size)


def _degrees(graph: Graph) -> tuple[dict[int, int], dict[int, int]]:
    into, out = dict.fromkeys(graph.nodes, 0), dict.fromkeys(graph.nodes, 0)
    for a, b in graph.counts:
        out[a] += 1
        into[b] += 1
    return into, out


def _places(graph: Graph) -> dict[int, tuple[int, int]]:
    """The middle of each node: columns by the distance from the start, rows by the mean row of the nodes before."""
    column = _columns(list(graph.counts))
    by_column: dict[int, list[int]] = defaultdict(list)
    for node in graph.nodes:
        by_column[column[node]].append(node)
    most = max(map(len, by_column.values()), default=0)
    before: dict[int, list[int]] = defaultdict(list)
    for a, b in graph.counts:
        if column[a] < column[b]:
            before[b].append(a)
    places: dict[int, tuple[int, int]] = {}
    for number in sorted(by_column):
        wanted = {
            node: sum(places[a][1] for a in before[node]) / max(1, len(before[node])) for node in by_column[number]
        }
        nodes = sorted(by_column[number], key=lambda node: (wanted[node], node))
        top = _MARGIN + (most - len(nodes)) * _ROW // 2
        for row, node in enumerate(nodes):
            places[node] = (_MARGIN + 130 + number * _COLUMN, top + row * _ROW)
    return places


def _columns(edges: list[Edge]) -> dict[int, int]:
    """The number of steps from the start to each node; the end is behind all others."""
    after: dict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        after[a].append(b)
    found, waiting = {START: 0}, [START]
    for node in waiting:
        for other in after[node]:
            if other not in found:
                found[other] = found[node] + 1
                waiting.append(other)
    found[END] = 1 + max(number for node, number in found.items() if node != END)
    return found


def _process(root: ElementTree.Element, diagram: _Diagram) -> None:
    process = ElementTree.SubElement(root, f"{{{_MODEL}}}process", id="flow", isExecutable="false")
    incoming, outgoing = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for number, (source, target, _) in enumerate(diagram.flows):
        outgoing[source].append(f"step_{number}")
        incoming[target].append(f"step_{number}")
    for kind, key, name, documentation in diagram.elements:
        # The order of the children is that of the schema.
        element = ElementTree.SubElement(process, f"{{{_MODEL}}}{kind}", id=key)
        if name:
            element.set("name", name)
        if documentation:
            ElementTree.SubElement(element, f"{{{_MODEL}}}documentation").text = "\n".join(documentation)
        for step in incoming[key]:
            ElementTree.SubElement(element, f"{{{_MODEL}}}incoming").text = step
        for step in outgoing[key]:
            ElementTree.SubElement(element, f"{{{_MODEL}}}outgoing").text = step
    for number, (source, target, name) in enumerate(diagram.flows):
        of = {"id": f"step_{number}", "sourceRef": source, "targetRef": target} | ({"name": name} if name else {})
        ElementTree.SubElement(process, f"{{{_MODEL}}}sequenceFlow", of)


def _drawing(root: ElementTree.Element, diagram: _Diagram) -> None:
    drawing = ElementTree.SubElement(root, f"{{{_DI}}}BPMNDiagram", id="diagram")
    plane = ElementTree.SubElement(drawing, f"{{{_DI}}}BPMNPlane", id="plane", bpmnElement="flow")
    for key, box in diagram.boxes.items():
        shape = ElementTree.SubElement(plane, f"{{{_DI}}}BPMNShape", id=f"shape_{key}", bpmnElement=key)
        if key.startswith(("join", "split")):
            shape.set("isMarkerVisible", "true")
        _bounds(shape, box)
    for number, (source, target, name) in enumerate(diagram.flows):
        of = {"id": f"edge_{number}", "bpmnElement": f"step_{number}"}
        edge = ElementTree.SubElement(plane, f"{{{_DI}}}BPMNEdge", of)
        points = _points(diagram.boxes[source], diagram.boxes[target])
        for x, y in points:
            ElementTree.SubElement(edge, f"{{{_DD}}}waypoint", x=str(x), y=str(y))
        if name:
            x, y = ((a + b) // 2 for a, b in zip(points[-2], points[-1], strict=True))
            _bounds(ElementTree.SubElement(edge, f"{{{_DI}}}BPMNLabel"), (x - 10, y - 18, 8 * len(name), 14))


def _bounds(element: ElementTree.Element, box: Box) -> None:
    x, y, width, height = map(str, box)
    ElementTree.SubElement(element, f"{{{_DC}}}Bounds", x=x, y=y, width=width, height=height)


def _points(source: Box, target: Box) -> list[tuple[int, int]]:
    """From the right side to the left side; to an earlier or the same column, below both."""
    x, y, width, height = source
    u, v, _, tall = target
    if x + width <= u:
        return [(x + width, y + height // 2), (u, v + tall // 2)]
    below = max(y + height, v + tall) + 20
    out, back = x + width + 15, u - 15
    middle, end = y + height // 2, v + tall // 2
    return [(x + width, middle), (out, middle), (out, below), (back, below), (back, end), (u, end)]
