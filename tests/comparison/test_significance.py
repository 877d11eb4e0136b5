"""Intervals over seeds and items, and Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from nearfar.comparison.significance import holm, resample
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
    assert found.mean("b").mean == pytest.approx(found.means[1])
    assert resample({"a": hard, "b": hard}, seed=1).p_value("b", "a") == 1.0


def test_seeds_widen():
    """Each seed is 0.1 off in one direction on all items: only drawing seeds can know of it."""
    items = np.random.default_rng(0).normal(0, 0.01, 500)
    shifts = np.array([-0.1, 0.1, -0.1, 0.1])
    found = resample({"a": np.zeros((1, 500)), "b": items + shifts[:, None]}, seed=0)
    gap = found.difference("b", "a")
    one = resample({"a": np.zeros((1, 500)), "b": (items + 0.1)[None]}, seed=0).difference("b", "a")
    assert one.high - one.low < 0.003
    # Draws of the seeds' mean have the unbiased standard error 0.1155 / 2, not 0.1 / 2.
    assert np.std(found.draws[:, 1]) == pytest.approx(np.std(shifts, ddof=1) / 2, rel=0.03)
    assert gap.low < -0.09 < 0.09 < gap.high


def test_two_seeds_do_not_understate():
    shifts = np.array([0.0, 0.2])
    found = resample({"a": np.zeros((1, 50)), "b": np.zeros(50) + shifts[:, None]}, seed=0)
    assert np.std(found.draws[:, 1]) == pytest.approx(np.std(shifts, ddof=1) / np.sqrt(2), rel=0.03)


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
    with pytest.raises(InputError, match="different items"):
        resample({"a": np.zeros((1, 3)), "b": np.zeros((1, 4))})
    with pytest.raises(InputError, match="different items or seeds"):
        resample({"a": np.zeros((2, 3)), "b": np.zeros((3, 3))})
    with pytest.raises(InputError, match="one item"):
        resample({"a": np.zeros((1, 1))})
