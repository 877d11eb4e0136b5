"""What an engine computes: shapes, symmetry, the opposite direction, and the mean over anchors."""

from __future__ import annotations

import math

import pytest
import torch

from nearfar import far, near
from nearfar.engines.problem import Problem, reduced

A, B = torch.randn(3, 4), torch.randn(5, 4)


def problem(a: torch.Tensor = A, b: torch.Tensor = B, near_=None, far_=None, **more) -> Problem:
    return Problem(a, b, near_ or near.paired(), far_, torch.tensor(0.5), **more)


def test_symmetric_where_anchors_are_the_candidates_and_both_builders_say_so() -> None:
    labels = torch.tensor([0, 1, 0])
    own = near.same_label(labels)
    assert problem(A, A, own, far.except_self()).bound().symmetric
    assert problem(A, A, own).bound().symmetric
    # An equal copy is another tensor, whose gradient is its own.
    assert not problem(A, A.clone(), own).bound().symmetric
    assert not problem(A, A, own, positives=A).bound().symmetric
    assert not problem(A, A, near.weights(torch.rand(3, 3))).bound().symmetric
    assert not problem(A, A, own, far.weighted(torch.rand(3, 3))).bound().symmetric


def test_a_bound_holds_where_farness_only_masks() -> None:
    assert problem(reach=2.0).bound_of_x == 2.0
    assert problem(far_=far.masked(torch.zeros(3, 5, dtype=torch.bool)), reach=2.0).bound_of_x == 2.0
    assert problem(far_=far.weighted(torch.rand(3, 5)), reach=2.0).bound_of_x == math.inf
    assert problem().bound_of_x == math.inf


def test_tensors_are_put_back_in_their_order() -> None:
    own, theirs = torch.rand(3, 2), torch.rand(5, 2)
    one = problem(far_=far.by_distance(own, theirs, 0.5)).bound()
    given = one.tensors()
    assert given[0] is A
    assert given[1] is B
    assert given[3] is None
    assert len(given) == 6  # the inputs of F come last
    other = one.with_tensors([None if each is None else each + 1 for each in given])
    torch.testing.assert_close(other.anchors, A + 1)
    torch.testing.assert_close(other.candidates, B + 1)
    torch.testing.assert_close(other.temperature, torch.tensor(1.5))
    torch.testing.assert_close(other.tensors()[4], own + 1)
    torch.testing.assert_close(other.tensors()[5], theirs + 1)
    assert len(problem().with_tensors(problem().tensors()).tensors()) == 4


def test_the_opposite_direction_swaps_the_sides() -> None:
    turned = problem().transposed()
    assert turned.anchors is B
    assert turned.candidates is A
    assert (problem().shape, turned.shape) == ((3, 5), (5, 3))
    with pytest.raises(ValueError, match="positives"):
        problem(positives=B).transposed()


def test_the_mean_is_over_anchors_that_have_a_positive() -> None:
    weights = torch.tensor([1.0, 0.0, 0.5, 2.0])
    assert reduced(torch.tensor(6.0), weights, "mean") == 2
    assert reduced(torch.tensor(6.0), weights, "sum") == 6
    assert reduced(torch.tensor(0.0), torch.zeros(4), "mean").isnan()
