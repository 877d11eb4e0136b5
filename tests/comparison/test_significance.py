"""Intervals over seeds and items, and Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr, t, ttest_1samp, ttest_rel

from nearfar.comparison.significance import holm
from nearfar.errors import InputError


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.04 times 3, 2, 1; then never below the one before.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.4]) == [0.8, 0.8]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_means_and_pairing():
    rng = np.random.default_rng(0)
    hard = rng.random((1, 200))
    found = resample({"a": hard, "b": hard + 0.1 + rng.normal(0, 0.01, (3, 200))}, seed=1)
    gap = found.difference("b", "a")
    assert gap.mean == pytest.approx(0.1, abs=0.005)
    # Items vary by 0.3, differences by 0.01: pairing takes the former out.
    assert gap.high - gap.low < 0.01 < found.mean("a").high - found.mean("a").low
    assert found.p_value("b", "a") < 0.001
    assert found.mean("b").mean == pytest.approx(found.by_seed[1].mean())
    assert resample({"a": hard, "b": hard}, seed=1).p_value("b", "a") == 1.0


def test_seeds_that_differ_widen():
    """Each seed is 0.1 off in one direction on all items: items alone would not show it."""
    items = np.random.default_rng(0).normal(0, 0.01, 500)
    shifts = np.array([-0.1, 0.1, -0.1, 0.1])
    found = resample({"a": np.zeros((1, 500)), "b": items + shifts[:, None]}, seed=0)
    one = resample({"a": np.zeros((1, 500)), "b": (items + 0.1)[None]}, seed=0).difference("b", "a")
    assert one.high - one.low < 0.003
    # The items' part is next to nothing, so this is Student's t with 3 degrees of freedom.
    plain = ttest_1samp(found.by_seed[1], 0.0).confidence_interval()
    gap = found.difference("b", "a")
    assert (gap.low, gap.high) == pytest.approx((plain.low, plain.high), rel=1e-3)
    assert found.p_value("b", "a") == pytest.approx(ttest_1samp(found.by_seed[1], 0.0)[1], rel=1e-3)


def test_two_variances_share_degrees_of_freedom():
    """Few items and few seeds, so that every degree counts."""
    draws = np.array([[0.1, 0.0], [0.3, 0.0], [0.2, 0.1], [0.6, 0.2]])
    by_seed = np.array([[0.25, 0.3, 0.4], [0.05, 0.1, 0.05]])
    found = Resampled(("a", "b"), by_seed, draws, items=4)
    seeds = np.array([0.2, 0.2, 0.35])
    assert found.difference("a", "b").mean == pytest.approx(0.25)
    # Of the means of differences; of the seeds' mean, hence a third of the variance between seeds.
    of_items, of_seeds = np.var([0.1, 0.3, 0.1, 0.4], ddof=1), np.var(seeds, ddof=1) / 3
    freedom = (of_items + of_seeds) ** 2 / (of_items**2 / 3 + of_seeds**2 / 2)
    error = np.sqrt(of_items + of_seeds)
    gap = found.difference("a", "b")
    assert gap.high - gap.mean == pytest.approx(t.ppf(0.975, freedom) * error)
    assert gap.mean - gap.low == pytest.approx(t.ppf(0.975, freedom) * error)
    assert found.p_value("a", "b") == pytest.approx(2 * t.sf(0.25 / error, freedom))
    assert found.p_value("b", "a") == pytest.approx(found.p_value("a", "b"))
    assert found.difference("b", "a") == pytest.approx((-gap.mean, -gap.high, -gap.low))


def test_fewer_draws_where_each_ranks_anew():
    values = {"a": np.random.default_rng(0).random((1, 20))}
    assert len(resample(values).draws) == RESAMPLES > RESAMPLES_RANKED
    assert len(resample(values, np.arange(20.0)).draws) == RESAMPLES_RANKED
    assert len(resample(values, resamples=300).draws) == 300


def test_one_seed_is_a_test_over_items():
    a, b = np.random.default_rng(1).normal(0, 1, (2, 200))
    found = resample({"a": a[None], "b": (b + 0.2)[None]}, seed=0)
    plain = ttest_rel(b + 0.2, a)
    gap, wanted = found.difference("b", "a"), plain.confidence_interval()
    assert (gap.low, gap.high) == pytest.approx((wanted.low, wanted.high), abs=0.01)
    assert found.p_value("b", "a") == pytest.approx(plain[1], abs=0.01)


@pytest.mark.parametrize("between_seeds", [0.0, 0.03])
def test_false_alarms_are_as_rare_as_they_claim(between_seeds: float):
    rng, alarms = np.random.default_rng(0), 0
    for trial in range(300):
        a, b = (
            rng.normal(0, 0.2, 60) + rng.normal(0, between_seeds, (4, 1)) + rng.normal(0, 0.05, (4, 60))
            for _ in range(2)
        )
        alarms += resample({"a": a, "b": b}, resamples=200, seed=trial).p_value("a", "b") < 0.05
    assert 3 <= alarms <= 27


def test_items_that_all_agree_say_nothing_on_others():
    values = np.random.default_rng(0).random((1, 50))
    found = resample({"a": values, "b": values + 0.5})
    assert found.p_value("b", "a") == 1.0
    assert found.difference("b", "a").degenerate


def test_correlations():
    rng = np.random.default_rng(2)
    gold = rng.random(150)
    good, poor = gold + rng.normal(0, 0.2, (2, 150)), gold + rng.normal(0, 2.0, (2, 150))
    found = resample({"good": good, "poor": poor}, gold, resamples=400)
    expected = sum(float(np.asarray(spearmanr(row, gold))[0]) for row in good) / 2
    assert found.mean("good").mean == pytest.approx(expected)
    gap = found.difference("good", "poor")
    assert gap.low > 0.3
    assert gap.low < gap.mean < gap.high
    flat = resample({"flat": np.zeros((1, 150)), "good": good}, gold, resamples=200)
    assert flat.mean("flat") == (0.0, 0.0, 0.0)


def test_the_seed_decides_the_draws():
    values = {"a": np.random.default_rng(0).random((2, 30))}
    assert (resample(values, seed=3).draws == resample(values, seed=3).draws).all()
    assert (resample(values, seed=3).draws != resample(values, seed=4).draws).any()


def test_what_cannot_be_paired():
    with pytest.raises(InputError, match="same items"):
        resample({"a": np.zeros((1, 3)), "b": np.zeros((1, 4))})
    with pytest.raises(InputError, match="items and seeds"):
        resample({"a": np.zeros((2, 3)), "b": np.zeros((3, 3))})
    with pytest.raises(InputError, match=r"^--eval: .*got 1\b"):
        resample({"a": np.zeros((1, 1))})
