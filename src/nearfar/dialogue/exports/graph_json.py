"""The pruned graph as JSON, with its quality."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nearfar.dialogue.exports.change import change_as_dict
from nearfar.dialogue.graph import FIRST, START
from nearfar.reports.text import plain

if TYPE_CHECKING:
    from nearfar.dialogue.graph import Graph
    from nearfar.dialogue.result import Flow


def as_dict(flow: Flow, graph: Graph | None = None) -> dict[str, Any]:
    """The pruned graph as JSON types."""
    graph = graph or flow.graph()
    path = flow.happy_path(graph)
    found = {
        "rules": {"weigh": flow.rules.weighing, "edges": flow.rules.edges, "nodes": flow.rules.nodes},
        "nodes": [_node(flow, node, count) for node, count in graph.nodes.items()],
        "edges": [
            {"source": a, "target": b, "count": count, "weight": graph.weights[a, b]}
            for (a, b), count in graph.counts.items()
        ],
        "happy_path": path,
    }
    return found if flow.change is None else found | {"change": change_as_dict(flow, flow.change)}


def _node(flow: Flow, node: int, count: int) -> dict[str, Any]:
    if node < FIRST:
        return {"id": node, "name": "[start]" if node == START else "[end]"}
    of = flow.described[node - FIRST]
    examples = [{"text": flow.log.texts[text], "count": times} for text, times in of.examples]
    return {
        "id": node,
        "name": of.name,
        "named_by": of.source,
        "speaker": flow.speaker_of(node),
        "count": count,
        "words": list(of.words),
        "slots": dict(of.slots),
        "examples": examples,
    }


def as_json(flow: Flow) -> str:
    """The pruned graph as JSON, with its source, its settings and its quality, and what was left out of the log."""
    about = {"dialogues": len(flow.log), "turns": flow.log.turns, "speakers": flow.log.speakers, **flow.facts}
    about["notes"] = [plain(note) for note in flow.log.notes]
    content = {"about": about, "quality": quality(flow), **as_dict(flow)}
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def quality(flow: Flow) -> dict[str, Any]:
    """The quality of a workflow as JSON types; intervals are [mean, lower bound, upper bound]."""
    held_out = None if flow.held_out is None else asdict(flow.held_out)
    return {"explained": asdict(flow.explained()), "held_out": held_out}
