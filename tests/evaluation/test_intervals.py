from __future__ import annotations

import math

import numpy as np
import pytest

from nearfar.errors import InputError
from nearfar.evaluation import Interval, bootstrap_mean, paired_correlation_difference, paired_difference


def test_interval_of_a_mean_matches_the_normal_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    mean, low, high = bootstrap_mean(values)
    half = 1.96 * values.std() / math.sqrt(400)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == (pytest.approx(mean - half, abs=0.02), pytest.approx(mean + half, abs=0.02))
    assert bootstrap_mean(values) == (mean, low, high)
    assert bootstrap_mean(values, seed=1) != (mean, low, high)
    narrow = bootstrap_mean(values, level=0.5)
    assert low < narrow.low < narrow.high < high


def test_95_percent_of_intervals_cover_the_truth():
    draw = np.random.default_rng(0)
    intervals = [bootstrap_mean(draw.normal(0, 1, 60), resamples=400, seed=i) for i in range(200)]
    covered = np.mean([low <= 0 <= high for _, low, high in intervals])
    assert 0.90 <= covered <= 0.985


def test_pairing_removes_what_both_sides_share():
    draw = np.random.default_rng(0)
    easy = draw.normal(0, 5, 200)
    before, after = easy + draw.normal(0, 0.1, 200), easy + 0.1 + draw.normal(0, 0.1, 200)
    mean, low, high = paired_difference(before, after)
    assert mean == pytest.approx((after - before).mean())
    assert 0 < low < mean < high < 0.2
    assert paired_difference(before, after).excludes_zero
    assert not paired_difference(before, before + draw.normal(0, 0.1, 200)).excludes_zero


def test_drawing_whole_groups_widens_the_interval_where_a_group_is_alike():
    draw = np.random.default_rng(0)
    groups = np.repeat([f"module {i}" for i in range(12)], 30)
    after = np.repeat(draw.normal(0.1, 1, 12), 30) + draw.normal(0, 0.1, 360)
    single = paired_difference(np.zeros(360), after)
    grouped = paired_difference(np.zeros(360), after, groups=groups)
    assert grouped.mean == pytest.approx(single.mean)
    # 30 copies of a value carry the information of one: the interval is sqrt(30) times as wide.
    assert (grouped.high - grouped.low) / (single.high - single.low) == pytest.approx(math.sqrt(30), rel=0.15)
    assert bootstrap_mean(after, groups=np.arange(360)) == pytest.approx(bootstrap_mean(after), abs=0.02)


def test_correlation_difference():
    draw = np.random.default_rng(0)
    gold = draw.normal(size=300)
    good, bad = gold + draw.normal(0, 0.3, 300), gold + draw.normal(0, 2, 300)
    mean, low, high = paired_correlation_difference(bad, good, gold, resamples=500)
    from scipy.stats import spearmanr

    assert mean == pytest.approx(spearmanr(good, gold).statistic - spearmanr(bad, gold).statistic)
    assert 0 < low < mean < high
    assert paired_correlation_difference(good, good, gold, resamples=500) == (0, 0, 0)


def test_equal_values_are_called_degenerate():
    interval = paired_difference([0.5, 0.25, 1.0], [0.5, 0.25, 1.0])
    assert interval == (0, 0, 0)
    assert interval.degenerate
    assert not interval.excludes_zero
    assert bootstrap_mean([0.1] * 7, groups=[1, 1, 1, 2, 2, 2, 3]).degenerate
    assert not bootstrap_mean([0.0, 1.0, 1.0]).degenerate


def test_what_has_no_interval():
    with pytest.raises(InputError, match=r"^values: .*\(1,\)"):
        bootstrap_mean([1.0])
    with pytest.raises(InputError, match=r"^groups: .*got 1\b"):
        bootstrap_mean([1.0, 2.0], groups=["a", "a"])
    with pytest.raises(InputError, match=r"^groups: .* 2 .*got 3\b"):
        bootstrap_mean([1.0, 2.0], groups=["a", "b", "c"])
    with pytest.raises(InputError, match=r" 2 .*got 3\b"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"^values: .*NaN"):
        bootstrap_mean([1.0, float("nan")])
    with pytest.raises(InputError, match=r"^level: .* 95\b"):
        bootstrap_mean([1.0, 2.0], level=95)
    with pytest.raises(InputError, match=r"resamples: .*got 5"):
        bootstrap_mean([1.0, 2.0], resamples=5)
    with pytest.raises(InputError, match=r"^gold: "):
        paired_correlation_difference([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [1.0, 1.0, 1.0])
    with pytest.raises(InputError, match=r" 3 pairs.*got 2"):
        paired_correlation_difference([1.0, 2.0], [1.0, 3.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("low", "high", "excludes", "degenerate"),
    [
        (0.001, 0.5, True, False),
        (-0.5, -0.001, True, False),
        (-0.001, 0.5, False, False),
        (-0.5, 0.001, False, False),
        (0.0, 0.5, False, False),
        (-0.5, 0.0, False, False),
        (0.4999, 0.5001, True, False),  # narrow, and yet an interval
        (0.5, 0.5, True, True),
    ],
)
def test_what_an_interval_excludes(low: float, high: float, excludes: bool, degenerate: bool):
    found = Interval((low + high) / 2, low, high)
    assert (found.excludes_zero, found.degenerate) == (excludes, degenerate)


def test_items_count_alike_in_groups_of_different_sizes():
    values, groups = [0.0, 0.0, 0.0, 1.0, 1.0, 0.5], ["a", "a", "a", "b", "c", "c"]
    found = bootstrap_mean(values, groups=groups)
    assert found.mean == pytest.approx(2.5 / 6)
    assert found.low < found.mean < found.high


def test_levels_and_resamples_at_their_bounds():
    for level in (0.0, 1.0, -0.5):
        with pytest.raises(InputError) as caught:
            bootstrap_mean([1.0, 2.0], level=level)
        assert caught.value.field == "level"
    with pytest.raises(InputError) as caught:
        bootstrap_mean([1.0, 2.0], resamples=99)
    assert caught.value.field == "resamples"
    assert bootstrap_mean([1.0, 2.0, 4.0], resamples=100).low >= 1


def test_the_seed_and_the_level_reach_every_interval():
    draw = np.random.default_rng(0)
    first, second, gold = draw.random((3, 40))
    for interval in (
        lambda **how: paired_difference(first, second, **how),
        lambda **how: paired_correlation_difference(first, second, gold, resamples=200, **how),
    ):
        assert interval(seed=1) == interval(seed=1) != interval(seed=2)
        wide, narrow = interval(level=0.99), interval(level=0.5)
        assert wide.low < narrow.low < narrow.high < wide.high


def test_a_draw_that_ranks_nothing_counts_as_no_correlation():
    # Of four pairs many draws are of one pair alone.
    found = paired_correlation_difference([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0])
    assert found.mean == pytest.approx(-2)
    assert np.isfinite([found.low, found.high]).all()
    assert found.low >= -2
