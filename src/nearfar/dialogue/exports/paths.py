"""Paths of a pruned graph from start to end that contain all of its edges."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from nearfar.dialogue.graph import END, START, Edge, Graph, weighed

#: The length of an edge that counts 0: longer than any path of others.
_NEVER = 1e6


def covering(graph: Graph, first: list[int]) -> list[list[int]]:
    """Paths such that each edge is in one of them.

    Args:
        graph: A pruned graph: every node is on a path from start to end. Edges of an earlier log may count 0.
        first: The path to begin with; empty for none.

    Returns:
        Lists of nodes from start to end. Each path after the first is the most probable one through the most frequent
        edge that no path before it contains. Edges that count 0 are taken only where no other way exists.
    """
    shares = weighed({edge: count for edge, count in graph.counts.items() if count}, "prob-out")
    cost = {edge: -float(np.log(shares[edge])) if edge in shares else _NEVER for edge in graph.counts}
    before = _nearer(cost, START)
    after = _nearer({(b, a): of for (a, b), of in cost.items()}, END)
    paths = [first] if first else []
    left = dict.fromkeys(sorted(graph.counts, key=lambda edge: (-graph.counts[edge], edge)))
    _remove(left, pairwise(first))
    while left:
        a, b = next(iter(left))
        paths.append([*reversed(_followed(before, a)), *_followed(after, b)])
        _remove(left, pairwise(paths[-1]))
    return paths


def _nearer(cost: Mapping[Edge, float], root: int) -> dict[int, int]:
    """The next node on the shortest way to the root, for every other node (Dijkstra)."""
    out: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for (a, b), of in cost.items():
        out[a].append((b, of))
    found: dict[int, int] = {}
    waiting = [(0.0, root, root)]
    while waiting:
        length, node, near = heapq.heappop(waiting)
        if node not in found:
            found[node] = near
            for other, of in out[node]:
                if other not in found:
                    heapq.heappush(waiting, (length + of, other, node))
    del found[root]
    return found


def _followed(nearer: Mapping[int, int], node: int) -> list[int]:
    path = [node]
    while path[-1] in nearer:
        path.append(nearer[path[-1]])
    return path


def _remove(left: dict[Edge, None], edges: Iterable[Edge]) -> None:
    for edge in edges:
        left.pop(edge, None)
