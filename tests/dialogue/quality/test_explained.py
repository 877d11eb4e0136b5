"""What a graph explains of its own dialogues."""

from __future__ import annotations

import numpy as np

from flows import booking_flow, flow_of
from nearfar.dialogue import Log, Rules
from nearfar.dialogue.graph import END, START
from nearfar.dialogue.quality.explained import Explained, explained, is_edge


def test_shares_by_hand():
    # Steps: start-2, 2-3, 3-end | start-2, 2-2, 2-end | start-3, 3-end.
    log = Log.of((name, [("a", f"{name} {i}") for i in range(n)]) for name, n in (("1", 2), ("2", 2), ("3", 1)))
    nodes = np.array([2, 3, 2, 2, 3])
    edges = {(START, 2): 2, (2, 3): 1, (3, END): 2}
    assert explained(log, nodes, edges) == Explained(dialogues=1 / 3, steps=5 / 8, repeats=1 / 8)
    assert explained(log, nodes, {}) == Explained(0.0, 0.0, 1 / 8)


def test_nodes_beyond_those_of_the_steps_do_not_collide():
    before, after = np.array([0, 2]), np.array([2, 1])
    assert is_edge(before, after, {(0, 2): 1, (1, 9): 1}).tolist() == [True, False]


def test_a_graph_without_thresholds_explains_all_but_repeats():
    flow = booking_flow(30, rules=Rules(edges=0.0, nodes=0.0))
    assert flow.explained() == Explained(1.0, 1.0, 0.0)
    repeating = flow_of([(str(i), [("a", "x", "hi"), ("a", "x", "ho")]) for i in range(3)], Rules(edges=0.0, nodes=0.0))
    assert repeating.explained() == Explained(0.0, 2 / 3, 1 / 3)
