"""Paths that contain all edges of a graph."""

from __future__ import annotations

from itertools import pairwise

import pytest

from flows import booking_flow
from nearfar.dialogue.exports.paths import covering
from nearfar.dialogue.graph import END, START, Rules, counted, either, prune


def test_paths_by_hand():
    # 2 -> 3 is the main path; 4 is a detour from 2, which is entered once.
    graph = prune(counted([[2, 3]] * 9 + [[2, 4, 3]]), Rules(edges=0.0, nodes=0.0))
    assert covering(graph, [START, 2, 3, END]) == [[START, 2, 3, END], [START, 2, 4, 3, END]]
    assert covering(graph, []) == [[START, 2, 3, END], [START, 2, 4, 3, END]]


def test_steps_of_an_earlier_log_that_a_later_one_never_takes_come_last():
    rules = Rules(edges=0.0, nodes=0.0)
    earlier, later = counted([[2, 3]]), counted([[4, 3]] * 2)
    both = either(prune(later, rules), prune(earlier, rules), later, rules.weighing)
    assert both.counts[2, 3] == 0
    assert covering(both, []) == [[START, 4, 3, END], [START, 2, 3, END]]


@pytest.mark.parametrize("threshold", [0.0, 0.1, 1.0])
def test_every_edge_is_in_a_path_and_every_step_is_an_edge(threshold: float):
    flow = booking_flow(40, rules=Rules(edges=threshold, nodes=0.0))
    graph = flow.graph()
    paths = covering(graph, flow.happy_path(graph))
    assert {edge for path in paths for edge in pairwise(path)} == set(graph.counts)
    assert all((path[0], path[-1]) == (START, END) for path in paths)
