"""The denominator of the contrast within domains."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfar import near
from nearfar.losses import Batch, DomainLoss
from nearfar.models.experts.domains import add_domain_experts


def test_extra_candidates_belong_to_every_domain() -> None:
    x = torch.randn(3, 2)
    labels = torch.tensor([0, 1, 2])  # domains 0, 1, 0
    batch = Batch(x, torch.randn(3 * 2 + 2, 2), labels, extra=2)
    builder = DomainLoss._in_domain(SimpleNamespace(number=2), batch)  # type: ignore[arg-type]
    f = torch.zeros(3, 8)
    builder.bind(3, 8, x).add_to(f, slice(0, 3), near.paired().bind(3, 8, x).at(slice(0, 3)), 1.0)
    same = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert (f == 0).int().tolist() == [[*row, *row, 1, 1] for row in same]


@pytest.mark.parametrize("in_domain", [False, True])
def test_a_mask_by_domain_covers_the_candidates_of_one_process(tiny_model_folder: Path, in_domain: bool) -> None:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    add_domain_experts(model, ["animals", "money"])
    loss = DomainLoss(model, in_domain, gather_across_devices=True)
    assert loss.gather_across_devices is not in_domain
