"""The transition graph: counts, pruning rules, and the strongest path.

Burdisso et al. 2024, Dialog2Flow (arXiv 2410.18481), Section 7. Node 0 is the start, node 1 the end of every dialogue.
`static/graph.js` applies the same rules in the browser; the cases of `tests/dialogue/graphs.json` test both.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from nearfar.dialogue.log import Log, steps
from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Int

START, END = 0, 1
FIRST = 2
"""The node of the first action."""

Edge = tuple[int, int]
Weighing = Literal["prob-out", "max-out", "max"]


@dataclass(frozen=True)
class Rules:
    """How the graph is pruned.

    Args:
        weighing: The weight of an edge: its count divided by the sum of the counts of all edges from the same node
            (`prob-out`), by the largest of them (`max-out`), or by the largest count in the graph (`max`).
        edges: Minimum weight of an edge, 0 to 1.
        nodes: Minimum count of an action as a fraction of the most frequent one's, 0 to 1.

    Raises:
        InputError: a value is invalid.
    """

    weighing: Weighing = "prob-out"
    edges: float = 0.1
    nodes: float = 0.023

    def __post_init__(self) -> None:
        if self.weighing not in get_args(Weighing):
            known = ", ".join(get_args(Weighing))
            raise InputError(f"invalid weight {self.weighing!r}", field="--weigh", remedy=f"must be one of {known}")
        for option, value in (("--edge-threshold", self.edges), ("--node-threshold", self.nodes)):
            if not 0 <= value <= 1:
                raise InputError(f"invalid value {value}", field=option, remedy="must be 0 to 1")


@dataclass(frozen=True, eq=False)
class Graph:
    """A pruned transition graph.

    Args:
        nodes: Node -> how often it is entered, including start and end; empty if nothing is left.
        counts: Edge -> how often the step occurs.
        weights: Edge -> its weight among the remaining edges.
    """

    nodes: dict[int, int]
    counts: dict[Edge, int]
    weights: dict[Edge, float]

    @property
    def actions(self) -> list[int]:
        """All nodes except start and end."""
        return [node for node in self.nodes if node >= FIRST]


def transitions(log: Log, turn: Int[np.ndarray, " turns"], speaker: int | None = None) -> dict[Edge, int]:
    """How often each action follows each other one, from the start to the end of every dialogue, including self loops.

    Args:
        log: The dialogues.
        turn: The node of each turn, from `FIRST`.
        speaker: Use only the turns of this speaker, and only dialogues with at least one of them.
    """
    if speaker is not None:
        log, turn = _of_speaker(log, turn, speaker)
    before, after, _ = steps(log, turn, START, END)
    size = int(turn.max(initial=END)) + 1
    codes, counts = np.unique(before * size + after, return_counts=True)
    return {(int(code // size), int(code % size)): int(count) for code, count in zip(codes, counts, strict=True)}


def _of_speaker(log: Log, turn: Int[np.ndarray, " turns"], speaker: int) -> tuple[Log, Int[np.ndarray, " turns"]]:
    mine = log.speaker == speaker
    lengths = np.add.reduceat(mine, log.starts[:-1])
    kept = np.flatnonzero(lengths)
    starts = np.concatenate([[0], np.cumsum(lengths[kept])])
    part = Log([log.ids[i] for i in kept], starts, log.speakers, log.speaker[mine], log.texts, log.text[mine])
    return part, turn[mine]


def counted(trajectories: Iterable[Sequence[int]]) -> dict[Edge, int]:
    """Like `transitions`, for dialogues given as lists of nodes."""
    found: dict[Edge, int] = defaultdict(int)
    for nodes in trajectories:
        for edge in zip([START, *nodes], [*nodes, END], strict=True):
            found[edge] += 1
    return dict(found)


def entered(counts: Mapping[Edge, int]) -> dict[int, int]:
    """How often each node is entered; start and end count 1."""
    found: dict[int, int] = {START: 1, END: 1}
    for (_, node), count in counts.items():
        if node != END:
            found[node] = found.get(node, 0) + count
    return found


def weighed(counts: Mapping[Edge, int], weighing: Weighing) -> dict[Edge, float]:
    """The weight of each edge, in (0, 1]."""
    whole: dict[int, int] = defaultdict(int)
    for (a, _), count in counts.items():
        place = a if weighing != "max" else START
        whole[place] = whole[place] + count if weighing == "prob-out" else max(whole[place], count)
    return {(a, b): count / whole[a if weighing != "max" else START] for (a, b), count in counts.items()}


def prune(counts: Mapping[Edge, int], rules: Rules) -> Graph:
    """Apply the rules in the paper's order: compute weights; remove loops, rare nodes, weak edges, unconnected rest."""
    times = entered(counts)
    weights = weighed(counts, rules.weighing)
    most = max((times[node] for node in times if node >= FIRST), default=1)
    kept = {node for node in times if node < FIRST or times[node] / most >= rules.nodes}
    edges = {edge for edge in counts if edge[0] != edge[1] and edge[0] in kept and edge[1] in kept}
    edges = {edge for edge in edges if weights[edge] >= rules.edges}
    left = {edge: counts[edge] for edge in sorted(_between(edges))}
    nodes = sorted({node for edge in left for node in edge})
    return Graph({node: times[node] for node in nodes}, left, weighed(left, rules.weighing))


def either(after: Graph, before: Graph, counts: Mapping[Edge, int], weighing: Weighing) -> Graph:
    """The nodes and edges of two pruned graphs, with the counts of one log; what it does not contain counts 0.

    Args:
        after: The graph of the log with these counts.
        before: The graph of another log over the same nodes.
        counts: The counts of all steps.
        weighing: The weight of an edge.
    """
    times = entered(counts)
    left = {edge: counts.get(edge, 0) for edge in sorted({*after.counts, *before.counts})}
    nodes = sorted({*after.nodes, *before.nodes})
    weights = weighed({edge: count for edge, count in left.items() if count}, weighing)
    return Graph({node: times.get(node, 0) for node in nodes}, left, {edge: weights.get(edge, 0.0) for edge in left})


def _between(edges: set[Edge]) -> set[Edge]:
    """The edges between nodes that are on some path from start to end."""
    good = _reached(edges, START) & _reached({(b, a) for a, b in edges}, END)
    return {(a, b) for a, b in edges if a in good and b in good}


def _reached(edges: Iterable[Edge], root: int) -> set[int]:
    after: dict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        after[a].append(b)
    found, waiting = {root}, [root]
    while waiting:
        for node in after[waiting.pop()]:
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found


def happy_path(graph: Graph, speaker: Mapping[int, int]) -> list[int]:
    """The path from start to end whose weakest edge is strongest; of equal ones the most probable, then the shortest.

    If there are several speakers, the path contains no step from a speaker to the same speaker.

    Args:
        graph: A pruned graph.
        speaker: The speaker of each action.

    Returns:
        Nodes from start to end; empty if there is no path.
    """
    alone = len({speaker[node] for node in graph.actions}) <= 1
    edges = [
        edge
        for edge, count in graph.counts.items()
        if count and (alone or edge[0] < FIRST or edge[1] < FIRST or speaker[edge[0]] != speaker[edge[1]])
    ]
    strengths = sorted({graph.weights[edge] for edge in edges}, reverse=True)
    low, high = 0, len(strengths)  # binary search for the largest strength that connects start and end
    while low < high:
        middle = (low + high) // 2
        reached = END in _reached([e for e in edges if graph.weights[e] >= strengths[middle]], START)
        low, high = (low, middle) if reached else (middle + 1, high)
    if low == len(strengths):
        return []
    return _likeliest(graph, [edge for edge in edges if graph.weights[edge] >= strengths[low]])


def _likeliest(graph: Graph, edges: list[Edge]) -> list[int]:
    """Dijkstra's shortest path, with the negative log-probability of each step as its length."""
    share = weighed({edge: count for edge, count in graph.counts.items() if count}, "prob-out")
    after: dict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        after[a].append(b)
    waiting: list[tuple[float, int, list[int]]] = [(0.0, 0, [START])]
    done: set[int] = set()
    while waiting:
        cost, length, path = heapq.heappop(waiting)
        node = path[-1]
        if node == END:
            return path
        if node in done:
            continue
        done.add(node)
        for other in after[node]:
            if other not in done:
                heapq.heappush(waiting, (cost - float(np.log(share[node, other])), length + 1, [*path, other]))
    return []
