"""How much of the dialogues the drawn graph explains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nearfar.dialogue.graph import END, START, Edge
from nearfar.dialogue.log import Log, steps

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


@dataclass(frozen=True)
class Explained:
    """The part of a log that a graph explains.

    Args:
        dialogues: Share of dialogues whose every step is an edge of the graph, from the start to the end.
        steps: Share of steps that are an edge of the graph, including the first and the last of each dialogue.
        repeats: Share of steps from an action to itself. The graph contains no such edges, so none is explained.
    """

    dialogues: float
    steps: float
    repeats: float


def explained(log: Log, nodes: Int[np.ndarray, " turns"], edges: Mapping[Edge, object]) -> Explained:
    """The share of dialogues and steps that a graph explains.

    Args:
        log: The dialogues.
        nodes: The node of each turn.
        edges: The edges of the pruned graph.
    """
    before, after, of = steps(log, nodes, START, END)
    covered = is_edge(before, after, edges)
    whole = np.bincount(of[~covered], minlength=len(log)) == 0
    return Explained(float(whole.mean()), float(covered.mean()), float((before == after).mean()))


def is_edge(
    before: Int[np.ndarray, " steps"], after: Int[np.ndarray, " steps"], edges: Mapping[Edge, object]
) -> Bool[np.ndarray, " steps"]:
    """Whether each step is one of some edges."""
    size = 1 + max(int(before.max()), int(after.max()), *(node for edge in edges for node in edge), END)
    return np.isin(before * size + after, [a * size + b for a, b in edges])
