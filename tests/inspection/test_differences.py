"""Differences between two models: after minus before, items of a group drawn together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nearfar.evaluation.intervals import paired_correlation_difference, paired_difference
from nearfar.inspection import Inspection
from nearfar.inspection.differences import differences

from .helpers import labelled_inspection

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.random(30), RNG.random(30)


@pytest.fixture(scope="module")
def look() -> Inspection:
    return labelled_inspection(60, 4)


def both(look: Inspection, name: str, first=FIRST, second=SECOND, **more) -> tuple[Inspection, Inspection]:
    plain = {"scored": None, "groups": None, **more}
    return replace(look, per_item={name: first}, **plain), replace(look, per_item={name: second}, **plain)


def test_the_second_minus_the_first(look: Inspection) -> None:
    found = differences(*both(look, "false_negative_share"), seed=3)
    assert found == {"false_negative_share": paired_difference(FIRST, SECOND, seed=3)}
    assert found["false_negative_share"].mean == pytest.approx((SECOND - FIRST).mean())


@pytest.mark.parametrize("name", ["alignment", "positive_cosine", "negative_cosine", "separation"])
def test_pairs_of_one_item_are_drawn_together(name: str, look: Inspection) -> None:
    groups = np.repeat(np.arange(10), 3)
    found = differences(*both(look, name, groups=groups))
    assert found == {name: paired_difference(FIRST, SECOND, groups=groups)}
    assert found[name] != paired_difference(FIRST, SECOND)


def test_what_has_one_value_an_item_is_drawn_by_item(look: Inspection) -> None:
    groups = np.repeat(np.arange(10), 3)
    found = differences(*both(look, "false_negative_share", groups=groups))
    assert found == {"false_negative_share": paired_difference(FIRST, SECOND)}


def test_where_nothing_can_be_said(look: Inspection) -> None:
    assert differences(*both(look, "alignment", FIRST[:2], SECOND[:2])) == {}
    assert set(differences(*both(look, "alignment", FIRST[:3], SECOND[:3]))) == {"alignment"}
    assert differences(*both(look, "alignment", groups=np.zeros(30, dtype=int))) == {}
    first, second = both(look, "alignment")[0], both(look, "separation")[1]
    assert differences(first, second) == {}


def test_correlations_with_scores(look: Inspection) -> None:
    gold = RNG.random(30)
    first, second = both(look, "alignment")
    with_scores = replace(first, per_item={}, scored=(FIRST, gold)), replace(second, per_item={}, scored=(SECOND, gold))
    found = differences(*with_scores, seed=2)
    assert found == {"spearman": paired_correlation_difference(FIRST, SECOND, gold, seed=2)}
    # Equal cosines rank nothing.
    flat = replace(second, per_item={}, scored=(np.ones(30), gold))
    assert differences(with_scores[0], flat) == {}
    assert differences(with_scores[0], replace(second, per_item={})) == {}
