"""A workflow as a file: an HTML page, JSON, Mermaid or Graphviz."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.dialogue.graph import END, FIRST, START
from nearfar.errors import InputError
from nearfar.reports.text import plain
from nearfar.writing import check_writable, write_text

if TYPE_CHECKING:
    from nearfar.dialogue.graph import Graph
    from nearfar.dialogue.result import Flow

_MERMAID_MARKS = re.compile(r"""["#&<>;`*_~\[\]{}|\\^$%]""")


def write(flow: Flow, path: str | Path) -> Path:
    """Write a workflow; the suffix of the path decides the format.

    Raises:
        InputError: unknown suffix, or the path is not writable.
    """
    path = Path(path)
    check_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(WRITERS[path.suffix.lower()](flow), path)
    return path


def check_target(path: Path, option: str = "--out") -> None:
    """Check, before any work, that a workflow can be written to a path.

    Raises:
        InputError: as `write`.
    """
    if path.suffix.lower() not in WRITERS:
        problem = f"unknown suffix {path.suffix!r}"
        raise InputError(problem, file=path, field=option, remedy=f"must be one of {', '.join(WRITERS)}")
    if path.is_dir():
        raise InputError("is a folder", file=path, field=option, remedy="choose a file name")
    check_writable(path.absolute().parent, option)


def as_dict(flow: Flow, graph: Graph | None = None) -> dict[str, Any]:
    """The pruned graph as JSON types."""
    graph = graph or flow.graph()
    path = flow.happy_path(graph)
    return {
        "rules": {"weigh": flow.rules.weighing, "edges": flow.rules.edges, "nodes": flow.rules.nodes},
        "nodes": [_node(flow, node, count) for node, count in graph.nodes.items()],
        "edges": [
            {"source": a, "target": b, "count": count, "weight": graph.weights[a, b]}
            for (a, b), count in graph.counts.items()
        ],
        "happy_path": path,
    }


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
    """The pruned graph as JSON, with its source and settings, and what was left out of the log."""
    about = {"dialogues": len(flow.log), "turns": flow.log.turns, "speakers": flow.log.speakers, **flow.facts}
    about["notes"] = [plain(note) for note in flow.log.notes]
    return json.dumps({"about": about, **as_dict(flow)}, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def as_mermaid(flow: Flow) -> str:
    """The pruned graph as a Mermaid flowchart."""
    graph = flow.graph()
    return mermaid(labels(flow, graph), list(graph.counts.items()))


def as_dot(flow: Flow) -> str:
    """The pruned graph in Graphviz's language."""
    graph = flow.graph()
    return dot(labels(flow, graph), list(graph.counts.items()))


def labels(flow: Flow, graph: Graph) -> dict[int, tuple[str, str]]:
    """Node -> (speaker, name); the speaker of start and end is empty."""
    found = {START: ("", "start"), END: ("", "end")}
    return {
        node: found[node] if node < FIRST else (flow.speaker_of(node), flow.described[node - FIRST].name)
        for node in graph.nodes
    }


def mermaid(nodes: dict[int, tuple[str, str]], edges: list[tuple[tuple[int, int], int]]) -> str:
    """A Mermaid flowchart of named nodes and counted edges."""
    lines = ["flowchart TD"]
    for node, (speaker, name) in nodes.items():
        text = _mermaid_text(f"{speaker}: {name}" if speaker else name)
        lines.append(f'  n{node}(["{text}"])' if node < FIRST else f'  n{node}["{text}"]')
    lines += [f"  n{a} -->|{count}| n{b}" for (a, b), count in edges]
    return "\n".join(lines) + "\n"


def dot(nodes: dict[int, tuple[str, str]], edges: list[tuple[tuple[int, int], int]]) -> str:
    """A Graphviz digraph of named nodes and counted edges."""
    lines = ["digraph flow {", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    for node, (speaker, name) in nodes.items():
        text = _dot_text(speaker) + r":\n" + _dot_text(name) if speaker else _dot_text(name)
        lines.append(f'  n{node} [label="{text}"{", shape=oval" if node < FIRST else ""}];')
    lines += [f'  n{a} -> n{b} [label="{count}"];' for (a, b), count in edges]
    return "\n".join([*lines, "}"]) + "\n"


def _mermaid_text(text: str) -> str:
    # Mermaid interprets quotes, markup and its own syntax in a text; "#code;" is a literal character.
    return _MERMAID_MARKS.sub(lambda mark: f"#{ord(mark[0])};", _plain(text))


def _dot_text(text: str) -> str:
    # Graphviz resolves HTML entities in labels, and a backslash starts an escape.
    return _plain(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def _plain(text: str) -> str:
    return " ".join(plain(text).split())


def _page(flow: Flow) -> str:
    from nearfar.dialogue.page import page

    return page(flow)


WRITERS: dict[str, Callable[[Flow], str]] = {".html": _page, ".json": as_json, ".mmd": as_mermaid, ".dot": as_dot}
"""Suffix -> the function that makes the text of the file."""
