"""Intervals over seeds and items, and Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import polygamma, psi
from scipy.stats import spearmanr, t, ttest_1samp, ttest_rel

from nearfar.comparison.significance import Estimates, Part, estimate, holm
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
    found = estimate({"a": hard, "b": hard + 0.1 + rng.normal(0, 0.01, (3, 200))})
    gap = found.difference("b", "a")
    assert gap.mean == pytest.approx(0.1, abs=0.005)
    # Items vary by 0.3, differences by 0.01: pairing takes the former out.
    assert gap.high - gap.low < 0.01 < found.mean("a").high - found.mean("a").low
    assert found.p_value("b", "a") < 0.001
    assert found.mean("b").mean == pytest.approx(found.by_seed[1].mean())
    assert estimate({"a": hard, "b": hard}).p_value("b", "a") == 1.0


def test_runs_that_differ_widen():
    """Each run is 0.1 off in one direction on all items: items alone would not show it."""
    items = np.random.default_rng(0).normal(0, 0.01, 500)
    shifts = np.array([-0.1, 0.1, -0.1, 0.1])
    found = estimate({"a": np.zeros((1, 500)), "b": items + shifts[:, None]})
    one = estimate({"a": np.zeros((1, 500)), "b": (items + 0.1)[None]}).difference("b", "a")
    assert one.high - one.low < 0.003
    # The items' part is next to nothing, so this is Student's t with 3 degrees of freedom.
    plain = ttest_1samp(found.by_seed[1], 0.0).confidence_interval()
    gap = found.difference("b", "a")
    assert (gap.low, gap.high) == pytest.approx((plain.low, plain.high), rel=1e-3)
    assert found.p_value("b", "a") == pytest.approx(ttest_1samp(found.by_seed[1], 0.0)[1], rel=1e-3)


def test_parts_of_the_variance_by_hand():
    """Few items and few runs, so that every degree counts."""
    part = Part(0.02, 2)
    deviations = np.array([[[0.1, 0.1], [0.0, 0.0]], [[0.1, 0.1], [0.2, 0.2]]])
    found = Estimates(("a", "b"), np.array([[0.2, 0.3], [0.05, 0.1]]), deviations, (part, None), items=4)
    gap = found.difference("a", "b")
    assert gap.mean == pytest.approx(0.175)
    # Deviations of the difference are 0.1 and -0.1, the same for both runs.
    half = np.sqrt(t.ppf(0.975, 3) ** 2 * 0.02 + t.ppf(0.975, 2) ** 2 * 0.02)
    assert (gap.mean - gap.low, gap.high - gap.mean) == pytest.approx((half, half))
    p = found.p_value("a", "b")
    assert t.isf(p / 2, 3) ** 2 * 0.02 + t.isf(p / 2, 2) ** 2 * 0.02 == pytest.approx(0.175**2)
    assert found.p_value("b", "a") == pytest.approx(p)
    assert found.difference("b", "a") == pytest.approx((-gap.mean, -gap.high, -gap.low))


def test_what_single_runs_add_counts_once():
    """Items that vary from run to run are in the variance between runs, and not in that of the items as well."""
    rng = np.random.default_rng(0)
    values = {name: rng.normal(0, 1, (5, 2000)) for name in ("a", "b")}
    found = estimate(values)
    of_runs = sum(part.variance for part in found.runs if part is not None)
    gap = found.difference("a", "b")
    half = t.ppf(0.975, 8) * np.sqrt(of_runs)
    assert half <= gap.high - gap.mean < 1.15 * half


def test_variances_of_runs_are_pooled():
    shifts = {"a": [-0.01, 0.01], "b": [-0.02, 0.02], "c": [0.0, 0.0]}
    items = np.random.default_rng(0).normal(0, 0.1, 50)
    found = estimate({name: items + np.array(of)[:, None] for name, of in shifts.items()} | {"base": items[None]})
    *trained, base = found.runs
    assert base is None
    variances = [2e-4, 8e-4, 0.0]
    mean = sum(variances) / 3
    # No variance is less than a model's own.
    assert [part.variance for part in trained if part] == pytest.approx([max(own, mean) / 2 for own in variances])
    assert [part.freedom for part in trained if part] == [3, 3, 3]


def test_an_unstable_model_does_not_widen_the_others():
    rng = np.random.default_rng(0)
    items = rng.normal(0, 0.1, 50)
    values = {name: items + rng.normal(0, 0.001, (5, 1)) for name in "abcd"}
    wild = items + np.array([0.3, -0.3, 0.2, -0.2, 0.0])[:, None]
    *others, alone = estimate({**values, "wild": wild}).runs
    assert others == list(estimate(values).runs)
    assert alone is not None
    assert alone.freedom == 4
    assert alone.variance == pytest.approx(np.var([0.3, -0.3, 0.2, -0.2, 0.0], ddof=1) / 5)


def test_one_seed_is_a_test_over_items():
    a, b = np.random.default_rng(1).normal(0, 1, (2, 200))
    found = estimate({"a": a[None], "b": (b + 0.2)[None]})
    plain = ttest_rel(b + 0.2, a)
    gap, wanted = found.difference("b", "a"), plain.confidence_interval()
    assert (gap.low, gap.high) == pytest.approx((wanted.low, wanted.high), abs=0.01)
    assert found.p_value("b", "a") == pytest.approx(plain[1], abs=0.01)


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("between_runs", [0.0, 0.01, 0.03])
def test_false_alarms_are_as_rare_as_they_claim(seeds: int, between_runs: float):
    """5 % at most, with a margin of three standard errors; benchmarks/calibration.py has more."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(400):
        item = rng.normal(0, 0.2, 60)
        a, b = (item + rng.normal(0, between_runs, (seeds, 1)) + rng.normal(0, 0.05, (seeds, 60)) for _ in range(2))
        alarms += estimate({"a": a, "b": b}).p_value("a", "b") < 0.05
    assert 1 <= alarms <= 33


def test_items_that_all_agree_say_nothing_on_others():
    values = np.random.default_rng(0).random((1, 50))
    found = estimate({"a": values, "b": values + 0.5})
    assert found.p_value("b", "a") == 1.0
    assert found.difference("b", "a").degenerate


def test_correlations():
    rng = np.random.default_rng(2)
    gold = rng.random(150)
    good, poor = gold + rng.normal(0, 0.2, (2, 150)), gold + rng.normal(0, 2.0, (2, 150))
    found = estimate({"good": good, "poor": poor}, gold, resamples=400)
    expected = sum(float(np.asarray(spearmanr(row, gold))[0]) for row in good) / 2
    assert found.mean("good").mean == pytest.approx(expected)
    gap = found.difference("good", "poor")
    assert gap.low > 0.3
    assert gap.low < gap.mean < gap.high
    flat = estimate({"flat": np.zeros((1, 150)), "good": good}, gold, resamples=200)
    assert flat.mean("flat") == (0.0, 0.0, 0.0)


def test_the_seed_decides_the_draws_of_a_correlation():
    values, gold = {"a": np.random.default_rng(0).random((2, 30))}, np.arange(30.0)
    first, again, other = (estimate(values, gold, resamples=50, seed=seed).deviations for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()
    # A mean needs no draws.
    assert estimate(values, seed=3).mean("a") == estimate(values, seed=4).mean("a")


def test_what_cannot_be_paired():
    with pytest.raises(InputError, match="same items"):
        estimate({"a": np.zeros((1, 3)), "b": np.zeros((1, 4))})
    with pytest.raises(InputError, match="items and seeds"):
        estimate({"a": np.zeros((2, 3)), "b": np.zeros((3, 3))})
    with pytest.raises(InputError, match=r"^--eval: .*got 1\b"):
        estimate({"a": np.zeros((1, 1))})


STEADY = {f"steady {number}": [0.5, 0.5 + 0.001 * number] for number in range(1, 9)}
WILD = {"wild": [0.3, 0.39], "wilder": [0.6, 0.5]}


def of_runs(runs: dict[str, list[float]]) -> Estimates:
    """Models with these scores in each run, measured on 200 items."""
    items = {name: np.random.default_rng(0).normal(0, 0.001, 200) for name in runs}
    return estimate({name: items[name] - items[name].mean() + np.array(runs[name])[:, None] for name in runs})


def test_of_many_models_a_few_do_not_widen_the_intervals_of_others():
    """Two that hide one another from a test of the largest variance."""
    with_them, without = of_runs({**WILD, **STEADY}), of_runs(STEADY)
    wide, narrow = (each.difference("steady 1", "steady 2") for each in (with_them, without))
    assert wide.high - wide.low < 3 * (narrow.high - narrow.low)
    # Their own runs say how uncertain they are.
    wild = with_them.difference("wild", "wilder")
    assert wild.high - wild.low > 5 * (wide.high - wide.low)


def test_moderated_variances_by_hand():
    """Six models of three runs: with the formulas of Smyth 2004, section 6.2, for the prior's variance and freedom."""
    spread = np.array([0.01, 0.02, 0.03, 0.05, 0.1, 0.4])
    found = of_runs({str(each): [0.5 - each, 0.5, 0.5 + each] for each in spread})
    own = spread**2
    e = np.log(own) - psi(1) + np.log(1)
    wanted = e.var(ddof=1) - polygamma(1, 1)
    prior = next(2 * x for x in np.linspace(0.01, 20, 200_001) if polygamma(1, x) <= wanted)
    typical = np.exp(e.mean() + psi(prior / 2) - np.log(prior / 2))
    expected = (prior * typical + 2 * own) / (prior + 2) / 3
    assert 0.1 < prior < 10, "neither all nor nothing is known from the others"
    assert [part.variance for part in found.runs if part] == pytest.approx(list(expected), rel=1e-3)
    assert [part.freedom for part in found.runs if part] == pytest.approx([prior + 2] * 6, rel=1e-3)


def test_variances_that_differ_no_more_than_by_chance_are_pooled():
    found = of_runs(
        {str(number): [0.5, 0.5 + gap] for number, gap in enumerate((0.01, 0.011, 0.012, 0.013, 0.01, 0.012))}
    )
    variances = {part.variance for part in found.runs if part}
    assert max(variances) < 1.2 * min(variances)
    assert {part.freedom for part in found.runs if part} == {6}


def test_runs_that_are_all_equal_have_no_variance():
    runs = {str(number): [0.5, 0.5] for number in range(6)}
    assert [part and part.variance for part in of_runs(runs).runs] == [0.0] * 6
    one = of_runs({**runs, "6": [0.5, 0.6]}).runs
    assert all(part is not None and np.isfinite(part.variance) for part in one)
    # A few runs that agree exactly are not taken for models without any variance.
    found = of_runs({**dict(list(runs.items())[:2]), **STEADY}).runs
    assert all(part is not None and part.variance > 1e-7 for part in found)


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("between_runs", [0.003, 0.03])
def test_false_winners_of_many_are_as_rare_as_they_claim(seeds: int, between_runs: float):
    """Of eight equal models, against the first, after Holm's correction: 5 % with a margin of three standard errors."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(200):
        item = rng.normal(0, 0.2, 60)
        values = {
            str(name): item + rng.normal(0, between_runs, (seeds, 1)) + rng.normal(0, 0.05, (seeds, 60))
            for name in range(8)
        }
        found = estimate(values)
        alarms += min(holm([found.p_value(str(name), "0") for name in range(1, 8)])) < 0.05
    assert alarms <= 19
