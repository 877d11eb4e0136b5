"""Where gradients accumulate, and how they reach autograd."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nearfar import far, near
from nearfar.engines.gradients import Gradients, InOnePass, wants
from nearfar.engines.problem import Problem

A, C, P = (
    torch.randn(rows, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(rows)) for rows in (2, 4, 5)
)
P = P[:4]
TAU = torch.tensor(0.5, dtype=torch.float64)


def problem(positives: bool = False) -> Problem:
    return Problem(A, C, near.paired(), None, TAU, positives=P if positives else None)


def test_what_requires_a_gradient() -> None:
    inputs = torch.rand(2, 2).requires_grad_(), torch.rand(4, 2)
    one = replace(problem(), anchors=A.clone().requires_grad_(), far=far.by_distance(*inputs, 0.5)).bound()
    assert wants(one) == (True, False, False, False, True, False)
    with torch.no_grad():
        assert not any(wants(one))


@pytest.mark.parametrize("wanted", ["a", "c", "t", "ac", "at", "ct", "p", "cp", "tp", "actp"])
def test_memory_only_for_what_is_wanted_and_for_the_temperature(wanted: str) -> None:
    found = Gradients.blank(problem(positives="p" in wanted), tuple(each in wanted for each in "actp"))
    assert (found.candidates is not None) == ("c" in wanted)
    assert (found.temperature is not None) == ("t" in wanted)
    assert (found.positives is not None) == ("p" in wanted)
    # The temperature's gradient is made from that of the anchors where there is none of the candidates.
    assert (found.anchors is not None) == ("a" in wanted or ("t" in wanted and "c" not in wanted))
    if found.positives is not None:
        assert not found.positives.any(), "these are added to"
    taken = found.take(tuple(each in wanted for each in "actp"))
    assert [x is not None for x in taken] == [each in wanted for each in "actp"]


def test_candidates_alone_do_not_give_the_temperatures_gradient_beside_frozen_positives() -> None:
    assert Gradients.blank(problem(positives=True), (False, True, True, False)).anchors is not None


@pytest.mark.parametrize("known", ["anchors", "candidates"])
def test_the_temperatures_gradient_comes_from_those_of_the_vectors(known: str) -> None:
    a, c, p, t = (x.clone().requires_grad_() for x in (A, C, P, TAU))
    s = a @ c.T / t
    loss = s.logsumexp(1).sum() - ((a @ p.T)[:, :2].diagonal() / t).sum()
    da, dc, dp, dt = torch.autograd.grad(loss, [a, c, p, t])
    blank = torch.empty_like(TAU)
    given = Gradients(da, None, blank, None, ()) if known == "anchors" else Gradients(None, dc, blank, dp, ())
    given.finish(problem(positives=True))
    torch.testing.assert_close(given.temperature, dt)


def test_two_sides_in_one_gradient_count_half() -> None:
    one, both = (Gradients(A.clone() * n, None, torch.empty_like(TAU), None, ()) for n in (1, 2))
    one.finish(problem())
    both.finish(problem(), sides=2)
    torch.testing.assert_close(one.temperature, both.temperature)


class Walk:
    """Loss sum of a * c over the first rows, with its gradients; counts its calls."""

    def __init__(self) -> None:
        self.with_gradients: list[bool] = []

    def __call__(self, given: Problem, gradients: Gradients | None) -> tuple[Tensor, Tensor]:
        self.with_gradients.append(gradients is not None)
        if gradients is not None and gradients.anchors is not None:
            gradients.anchors.copy_(given.candidates[:2])
        return (given.anchors * given.candidates[:2]).sum(), torch.ones(2)


def test_one_walk_for_loss_and_gradients_and_another_for_each_further_backward_pass() -> None:
    walk, a = Walk(), A.clone().requires_grad_()
    given = replace(problem(), anchors=a).bound()
    loss, weights = InOnePass.apply(walk, given, wants(given), *given.tensors())  # type: ignore[misc]
    assert walk.with_gradients == [True]
    assert not weights.requires_grad
    for upstream in (3.0, -2.0):
        (found,) = torch.autograd.grad(loss * upstream, a, retain_graph=True)
        torch.testing.assert_close(found, C[:2] * upstream)
    assert walk.with_gradients == [True, True]


def test_no_gradient_is_computed_where_none_is_wanted() -> None:
    walk, given = Walk(), problem().bound()
    loss, _ = InOnePass.apply(walk, given, wants(given), *given.tensors())  # type: ignore[misc]
    assert walk.with_gradients == [False]
    assert not loss.requires_grad
