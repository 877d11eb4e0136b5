"""The walk of one direction, without autograd around it: against the formulas of its docstring."""

from __future__ import annotations

import pytest
import torch
from cases import World

from nearfar.engines.gradients import Gradients
from nearfar.engines.one_way import walk
from nearfar.engines.problem import Problem
from nearfar.engines.softmax import Softmax

WORLD = World(n=5, m=7, d=3, seed=4)  # the last anchor has no positive
TAU = torch.tensor(0.4, dtype=torch.float64)
UPSTREAM = torch.tensor([2.0, 0.0, -1.0, 3.0, 5.0], dtype=torch.float64)


def problem(positives: bool) -> Problem:
    return Problem(
        WORLD.anchors, WORLD.candidates, WORLD.near("weights"), WORLD.far("masked"), TAU,
        positives=WORLD.positives if positives else None,
    ).bound()  # fmt: skip


@pytest.mark.parametrize("positives", [False, True])
@pytest.mark.parametrize("block_rows", [1, 2, 5])
def test_losses_and_gradients_of_weighed_rows(positives: bool, block_rows: int) -> None:
    a, c, p = (x.clone().requires_grad_() for x in (WORLD.anchors, WORLD.candidates, WORLD.positives))
    t = TAU.clone().requires_grad_()
    s = a @ c.T / t
    weights = WORLD.p.sum(1)
    log_z = s.masked_fill(WORLD.mask, -torch.inf).logsumexp(1)
    expected = weights * log_z - (WORLD.p * (a @ p.T / t if positives else s)).sum(1)
    leaves = [a, c, t, *([p] if positives else [])]
    gradients = torch.autograd.grad((expected * UPSTREAM).sum(), leaves)

    given = problem(positives)
    found = Gradients.blank(given, (True, True, True, positives))
    losses, row_weights = walk(given, block_rows, Softmax(), found, UPSTREAM)
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(row_weights, weights)
    assert losses[-1] == row_weights[-1] == 0
    for name, got, wanted in zip("actp", found.take((True, True, True, positives)), gradients, strict=False):
        torch.testing.assert_close(got, wanted, msg=name)


def test_without_gradients_the_loss_is_the_same() -> None:
    given = problem(False)
    found = Gradients.blank(given, (True, True, False, False))
    torch.testing.assert_close(walk(given, 2, Softmax(), None)[0], walk(given, 3, Softmax(), found)[0])
