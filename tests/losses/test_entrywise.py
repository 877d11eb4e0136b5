"""The loss of MultiCSR's released code, entry by entry."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nearfar.losses.entrywise import entrywise, entrywise_of_similarities


def test_entrywise_is_cross_entropy_and_one_term_more() -> None:
    g = torch.Generator().manual_seed(0)
    z, c, mz, mc = (torch.randn(k, 4, generator=g, dtype=torch.float64) for k in (6, 12, 6, 12))
    out = F.normalize(mz, dim=1) @ F.normalize(mc, dim=1).T > 0.4
    own = torch.eye(6, 12).bool()
    x = (F.normalize(z, dim=1) @ F.normalize(c, dim=1).T).masked_fill(out & ~own, 0.0) / 0.5
    p = x.softmax(1)
    expected = (F.cross_entropy(x, torch.arange(6), reduction="sum") - (1 - p[~own]).log().sum()) / (2 * 6 * 6)
    assert entrywise(z, c, out, 0.5).item() == pytest.approx(expected.item(), rel=1e-12)


def test_entrywise_stays_finite_where_a_negative_takes_all() -> None:
    s = torch.tensor([[-1.0, 1.0]], requires_grad=True)
    loss = entrywise_of_similarities(s, None, 0.001)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(s.grad).all()
