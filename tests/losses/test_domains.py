"""The denominator of the contrast within domains."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from nearfar import near
from nearfar.losses import Batch, DomainLoss


def test_extra_candidates_belong_to_every_domain() -> None:
    x = torch.randn(3, 2)
    labels = torch.tensor([0, 1, 2])  # domains 0, 1, 0
    batch = Batch(x, torch.randn(3 * 2 + 2, 2), labels, extra=2)
    builder = DomainLoss._in_domain(SimpleNamespace(number=2), batch)  # type: ignore[arg-type]
    f = torch.zeros(3, 8)
    builder.bind(3, 8, x).add_to(f, slice(0, 3), near.paired().bind(3, 8, x).at(slice(0, 3)), 1.0)
    same = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert (f == 0).int().tolist() == [[*row, *row, 1, 1] for row in same]
