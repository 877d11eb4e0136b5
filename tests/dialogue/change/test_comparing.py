"""What changed between two logs."""

from __future__ import annotations

import numpy as np
import pytest

from flows import booking_flow, flow_of
from nearfar.dialogue.change.comparing import Rate, Side, compare
from nearfar.dialogue.graph import END, FIRST, START
from nearfar.dialogue.result import Flow

FEW = 300


def part(flow: Flow, numbers: list[int]) -> Side:
    turn = np.concatenate([flow.actions.turn[flow.log.dialogue(number)] for number in numbers])
    return Side(flow.log.chosen(numbers), turn)


def halves(flow: Flow, seed: int) -> tuple[Side, Side]:
    order = np.random.default_rng(seed).permutation(len(flow.log)).tolist()
    middle = len(order) // 2
    return part(flow, order[:middle]), part(flow, order[middle:])


def marked(rates: tuple[Rate, ...]) -> list[Rate]:
    return [rate for rate in rates if rate.kind not in ("same", "untested")]


def test_a_log_against_itself_has_no_change():
    flow = booking_flow(60)
    side = Side(flow.log, flow.actions.turn)
    rates = compare(side, side, resamples=FEW)
    assert marked(rates) == []
    assert {rate.difference for rate in rates} == {0.0}
    assert all(rate.low <= 0 <= rate.high for rate in rates if rate.low is not None and rate.high is not None)
    assert any(rate.p == 1 for rate in rates)


def test_halves_of_one_log_differ_significantly_in_about_one_of_twenty_splits():
    flow = booking_flow(120)
    found = sum(bool(marked(compare(*halves(flow, seed), resamples=FEW))) for seed in range(40))
    # Of 40 splits 2 are expected; 7 or more have a probability of 0.3%.
    assert found < 7


def test_a_planted_change_is_found_and_nothing_else():
    flow = booking_flow(200)
    before, after = halves(flow, 0)
    # After the release the agent asks for something else in half of the dialogues, in place of the first question.
    first = int(np.flatnonzero([of.name.startswith("Which city") for of in flow.described])[0])
    rare = int(flow.actions.turn.max()) + 1
    turn = after.turn.copy()
    turn[np.flatnonzero(turn == first)[::2]] = rare
    rates = compare(before, Side(after.log, turn), resamples=FEW)
    kinds = {rate.node - FIRST: rate.kind for rate in rates if rate.target is None}
    assert kinds[rare] == "new"
    assert kinds[first] == "less"
    assert set(kinds.values()) == {"new", "less", "same"}
    new = next(rate for rate in rates if rate.node == rare + FIRST and rate.target is None)
    assert new.before == 0
    assert new.after == pytest.approx(new.counts[1] / len(turn))
    assert new.low is not None
    assert 0 < new.low < new.difference
    back = compare(Side(after.log, turn), before, resamples=FEW)
    assert {rate.node - FIRST: rate.kind for rate in back if rate.target is None}[rare] == "gone"


def test_rates_are_shares_of_turns_and_of_the_steps_from_the_source():
    flow = flow_of([("1", [("a", "x", "one"), ("b", "y", "two")]), ("2", [("a", "x", "one")])])
    side = Side(flow.log, flow.actions.turn)
    found = {(rate.node, rate.target): (rate.before, rate.counts) for rate in compare(side, side, resamples=FEW)}
    x, y = FIRST, FIRST + 1
    assert found == {
        (x, None): (2 / 3, (2, 2)),
        (y, None): (1 / 3, (1, 1)),
        (START, x): (1.0, (2, 2)),
        (x, y): (1 / 2, (1, 1)),
        (x, END): (1 / 2, (1, 1)),
        (y, END): (1.0, (1, 1)),
    }


def test_what_is_rare_in_both_logs_is_not_tested():
    flow = booking_flow(3)
    side = Side(flow.log, flow.actions.turn)
    rates = compare(side, side, resamples=FEW)
    assert all(rate.kind == "untested" for rate in rates if sum(rate.counts) < 5)
    assert any(rate.kind == "untested" for rate in rates)


def test_intervals_are_as_wide_as_the_dialogues_make_them():
    """The standard error of a difference of two proportions, one turn of interest in each dialogue."""
    yes, no = [("a", "yes", "yes"), ("a", "x", "x")], [("a", "no", "no"), ("a", "x", "x")]
    flow = flow_of([(str(i), yes if i % 2 else no) for i in range(200)])
    side = Side(flow.log, flow.actions.turn)
    rates = compare(side, side, resamples=2000)
    action = next(rate for rate in rates if rate.target is None and rate.before == 0.25)
    assert action.high is not None
    expected = 1.96 * 0.5 * np.sqrt(2 * 0.25 / 200)  # half of the turns are of interest
    assert action.high == pytest.approx(expected, rel=0.15)


def test_the_seed_decides():
    flow = booking_flow(40)
    sides = halves(flow, 0)
    assert compare(*sides, seed=1, resamples=FEW) == compare(*sides, seed=1, resamples=FEW)
    assert compare(*sides, seed=1, resamples=FEW) != compare(*sides, seed=2, resamples=FEW)
