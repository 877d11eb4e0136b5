"""The walk of the symmetric loss, without autograd around it: half of each direction, over different anchors."""

from __future__ import annotations

import pytest
import torch
from cases import World

from nearfar.engines.both_ways import walk
from nearfar.engines.gradients import Gradients
from nearfar.engines.problem import Problem
from nearfar.engines.softmax import Softmax

# Anchor 0 has a label of its own; candidates of other labels than the anchors take no part in the opposite direction.
WORLD = World(n=5, m=8, d=3, seed=2)
TAU = torch.tensor(0.4, dtype=torch.float64)


def halves(a: torch.Tensor, c: torch.Tensor, t: torch.Tensor, mean: bool) -> torch.Tensor:
    same = (WORLD.labels_a[:, None] == WORLD.labels_b).double()
    s = a @ c.T / t
    x = s.masked_fill(WORLD.mask, -torch.inf)
    total = torch.zeros((), dtype=torch.float64)
    for axis in (0, 1):
        count = same.sum(axis)
        part = count > 0
        assert 0 < part.sum() < len(part) or axis == 0, "an anchor without a positive"
        weights = same / count.clamp(min=1).unsqueeze(axis)
        losses = (x.logsumexp(axis) - (weights * s).sum(axis))[part]
        total = total + (losses.mean() if mean else losses.sum()) / 2
    return total


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("block_rows", [1, 3, 5])
def test_loss_and_gradients(reduction: str, block_rows: int) -> None:
    a, c, t = (x.clone().requires_grad_() for x in (WORLD.anchors, WORLD.candidates, TAU))
    expected = halves(a, c, t, reduction == "mean")
    gradients = torch.autograd.grad(expected, [a, c, t])
    given = Problem(WORLD.anchors, WORLD.candidates, WORLD.near("same_label"), WORLD.far("masked"), TAU).bound()
    found = Gradients.blank(given, (True, True, True, False))
    loss, weights = walk(given, block_rows, Softmax(), found, reduction)
    torch.testing.assert_close(loss, expected.detach())
    assert weights.tolist() == [float((WORLD.labels_b == label).any()) for label in WORLD.labels_a]
    for name, got, wanted in zip("act", found.take((True, True, True, False)), gradients, strict=False):
        torch.testing.assert_close(got, wanted, msg=name)
    alone, _ = walk(given, block_rows, Softmax(), None, reduction)
    torch.testing.assert_close(alone, loss)
