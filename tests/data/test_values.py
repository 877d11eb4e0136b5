"""What is wrong with a single value."""

from __future__ import annotations

import pytest

from nearfar.data._blocks import MISSING
from nearfar.data._values import score_problem, text_problem


@pytest.mark.parametrize("value", ["a", " a ", "\U0001f642", "\0a"])
def test_texts(value: str) -> None:
    assert text_problem(value) is None


@pytest.mark.parametrize("value", [MISSING, None, "", " \u3000\n", 3, 1.5, True, [], {}, "\ud83d"])
def test_values_that_are_not_texts(value: object) -> None:
    assert text_problem(value) is not None


@pytest.mark.parametrize("value", [0, -3, 2.5, 2**53, 1e300])
def test_scores(value: float) -> None:
    assert score_problem(value) is None


@pytest.mark.parametrize("value", [MISSING, None, "1", True, [], float("nan"), float("inf"), 2**53 + 1, 10**400])
def test_values_that_are_not_scores(value: object) -> None:
    assert score_problem(value) is not None
