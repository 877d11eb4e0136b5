"""Counting, pruning and the main path, by worked numbers."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from flows import booking_flow, flow_of
from nearfar.dialogue.graph import END, FIRST, START, Rules, counted, entered, happy_path, prune, weighed

from .helpers import refused

A, B, C, D = 2, 3, 4, 5
EVERYTHING = Rules("max-out", 0.0, 0.0)


def toy() -> dict[tuple[int, int], int]:
    return counted([[A, B], [A, C], [A, B]])


def test_toy_graph_of_three_dialogues():
    assert toy() == {(START, A): 3, (A, B): 2, (A, C): 1, (B, END): 2, (C, END): 1}
    times = entered(toy())
    most = max(times[node] for node in (A, B, C))
    assert [times[node] / most for node in (A, B, C)] == [1, 2 / 3, 1 / 3]
    by_most, by_share = weighed(toy(), "max-out"), weighed(toy(), "prob-out")
    assert (by_most[A, B], by_most[A, C]) == (1, 1 / 2)
    assert (by_share[A, B], by_share[A, C]) == (2 / 3, 1 / 3)
    overall = weighed(toy(), "max")
    assert (overall[START, A], overall[A, B], overall[C, END]) == (1, 2 / 3, 1 / 3)


def test_limits_of_zero_prune_nothing():
    graph = prune(toy(), EVERYTHING)
    assert graph.counts == toy()
    assert graph.nodes == {START: 1, END: 1, A: 3, B: 2, C: 1}


def test_weak_edges_are_removed_with_the_nodes_that_they_disconnect():
    graph = prune(toy(), Rules("max-out", 0.6, 0.0))
    assert set(graph.nodes) == {START, A, B, END}
    assert set(graph.counts) == {(START, A), (A, B), (B, END)}
    # The weights are of the remaining edges.
    assert prune(toy(), Rules("prob-out", 0.4, 0.0)).weights[A, B] == 1


def test_rare_nodes_are_relative_to_the_most_frequent_action_without_start_and_end():
    counts = counted([[A, B]] * 97 + [[A, C, B]] * 3)
    assert C in prune(counts, Rules("max-out", 0.0, 0.03)).nodes
    assert C not in prune(counts, Rules("max-out", 0.0, 0.031)).nodes


def test_self_loops_count_before_they_are_removed():
    counts = counted([[A, A, A, B], [A, B]])
    assert counts[A, A] == 2
    assert entered(counts)[A] == 4
    graph = prune(counts, EVERYTHING)
    assert (A, A) not in graph.counts
    assert graph.nodes[A] == 4
    # A's strongest step is into itself or on, twice each: the limit is met before the loop is dropped.
    assert prune(counts, Rules("prob-out", 0.5, 0.0)).weights == {(START, A): 1, (A, B): 1, (B, END): 1}
    assert prune(counts, Rules("prob-out", 0.51, 0.0)).counts == {}


def test_nodes_on_no_path_from_start_to_end_are_removed():
    counts = {(START, A): 5, (A, END): 5, (B, A): 5, (A, C): 5, (C, D): 5, (D, C): 5}
    graph = prune(counts, EVERYTHING)
    assert set(graph.nodes) == {START, A, END}
    assert prune({(START, A): 1, (B, END): 1}, EVERYTHING).nodes == {}


def test_nodes_that_a_limit_disconnects_are_removed():
    # Without the weak A-B, B is no longer reached, and C hangs on B alone.
    counts = {(START, A): 10, (A, B): 1, (A, END): 10, (B, C): 1, (C, END): 1}
    graph = prune(counts, Rules("prob-out", 0.2, 0.0))
    assert set(graph.counts) == {(START, A), (A, END)}


@pytest.mark.parametrize("weighing", ["prob-out", "max-out", "max"])
def test_weights_are_parts_and_higher_limits_leave_less(weighing):
    counts = booking_flow(60).counts()
    before = None
    for edges, nodes in itertools.product((0.0, 0.05, 0.2, 0.5), (0.0, 0.05, 0.5)):
        graph = prune(counts, Rules(weighing, edges, nodes))
        assert all(0 < weight <= 1 for weight in graph.weights.values())
        if weighing == "prob-out":
            for node in graph.nodes:
                out = [weight for (a, _), weight in graph.weights.items() if a == node]
                assert not out or sum(out) == pytest.approx(1)
        if before is not None and nodes == 0.5:
            assert set(graph.counts) <= before
        before = set(graph.counts)


def test_the_happy_path_is_the_widest_one():
    # Straight on is likelier at first, but its second step is the narrow one.
    counts = {(START, A): 10, (A, B): 6, (A, C): 4, (B, D): 1, (B, A): 5, (C, D): 4, (D, END): 5}
    graph = prune(counts, Rules("max", 0.0, 0.0))
    speaker = {A: 0, B: 1, C: 1, D: 0}
    assert happy_path(graph, speaker) == [START, A, C, D, END]
    ways = [[START, A, *middle, D, END] for middle in ([B], [C])]
    width = {tuple(way): min(graph.weights[edge] for edge in itertools.pairwise(way)) for way in ways}
    assert max(width, key=lambda way: width[way]) == (START, A, C, D, END)


def test_the_happy_path_alternates_between_speakers_if_there_are_several():
    counts = {(START, A): 10, (A, B): 9, (A, C): 1, (B, END): 9, (C, END): 1}
    graph = prune(counts, Rules("max", 0.0, 0.0))
    assert happy_path(graph, {A: 0, B: 0, C: 1}) == [START, A, C, END]
    assert happy_path(graph, {A: 0, B: 0, C: 0}) == [START, A, B, END]
    only = prune({(START, A): 1, (A, B): 1, (B, END): 1, (A, C): 1, (C, B): 0 + 1}, Rules("max", 0.0, 0.0))
    assert happy_path(only, {A: 0, B: 0, C: 1}) == [START, A, C, B, END]
    assert happy_path(prune({}, EVERYTHING), {}) == []


def test_transitions_are_those_of_the_trajectories():
    flow = booking_flow(30)
    nodes = flow.nodes
    trajectories = [nodes[flow.log.dialogue(i)].tolist() for i in range(len(flow.log))]
    assert flow.counts() == counted(trajectories)
    for speaker in range(2):
        alone = [[node for node in way if flow.actions.speaker[node - 2] == speaker] for way in trajectories]
        assert flow.counts(speaker) == counted(way for way in alone if way)


def test_counts_of_one_speaker_ignore_dialogues_without_that_speaker():
    flow = flow_of([("1", [("a", "x", "one")]), ("2", [("b", "y", "two"), ("a", "x", "one")])])
    assert flow.counts(1) == {(START, 3): 1, (3, END): 1}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("sum", 0.1, 0.1), "--weigh"),
        (("max", 1.5, 0.1), "--edge-threshold"),
        (("max", -0.1, 0.1), "--edge-threshold"),
        (("max", 0.1, float("nan")), "--node-threshold"),
    ],
)
def test_invalid_rules_are_refused(arguments, field):
    assert refused(lambda: Rules(*arguments)) == (None, None, field)


def test_counts_are_plain_numbers():
    counts = booking_flow(3).counts()
    assert not any(isinstance(value, np.generic) for edge, count in counts.items() for value in (*edge, count))


CASES = json.loads((Path(__file__).parent / "graphs.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_cases_shared_with_the_rules_in_the_browser(case):
    counts = {(a, b): count for a, b, count in case["steps"]}
    graph = prune(counts, Rules(*case["rules"]))
    assert [list(item) for item in graph.nodes.items()] == case["nodes"]
    assert [[a, b, count, graph.weights[a, b]] for (a, b), count in graph.counts.items()] == case["edges"]
    speaker = dict(enumerate(case["speakers"], FIRST))
    assert happy_path(graph, speaker) == case["happy_path"]
