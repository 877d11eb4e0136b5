"""The pruned graph as a Mermaid flowchart or in Graphviz's language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nearfar.dialogue.graph import END, FIRST, START
from nearfar.reports.text import plain

if TYPE_CHECKING:
    from nearfar.dialogue.graph import Graph
    from nearfar.dialogue.result import Flow

_MERMAID_MARKS = re.compile(r"""["#&<>;`*_~\[\]{}|\\^$%]""")


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
