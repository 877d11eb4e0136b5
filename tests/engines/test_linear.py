"""The limit of infinite temperature, against the losses at a finite one and against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from cases import FARS, NEARS, World

from nearfar import contrast, far, near
from nearfar.engines.linear import Linear

WORLD = World(n=7, m=9, d=4)


def test_it_is_the_limit_of_contrast() -> None:
    # tau (L - log N) -> (mean over the N candidates) - (mean over the positives), and so do the gradients.
    tau = 1e6
    for far_ in (None, far.except_self(), far.hardest(0.4), far.except_self() + far.hardest(0.4)):
        for options in ({}, {"symmetric": True}, {"similarity": "dot"}):
            values = []
            for engine, scale in ((Linear(), 1.0), ("dense", tau)):
                a, c = (x.clone().requires_grad_() for x in (WORLD.anchors, WORLD.candidates[:7]))
                loss = contrast(a, c, far=far_, temperature=tau, engine=engine, **options)  # type: ignore[arg-type]
                values.append([x * scale for x in torch.autograd.grad(loss, [a, c])])
            for one, limit in zip(*values, strict=True):
                torch.testing.assert_close(one, limit, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("far_", [name for name in FARS if "harder" not in name])
@pytest.mark.parametrize("near_", NEARS)
def test_every_builder_follows_the_formula(near_: str, far_: str) -> None:
    p = torch.tensor(WORLD.p_by_hand(near_), dtype=torch.float64)
    unit = torch.nn.functional.normalize
    s = unit(WORLD.anchors) @ unit(WORLD.candidates).T
    hard = WORLD.p_by_hand(near_.removeprefix("smoothed "))
    f = torch.tensor(WORLD.f_by_hand(far_, hard, s.tolist()), dtype=torch.float64)
    w = f.exp() / f.exp().sum(1, keepdim=True)
    expected = torch.where(p.sum(1) > 0, p.sum(1) * (w * s).sum(1) - (p * s).sum(1), 0)
    options = {"reduction": "none", "engine": Linear()}
    got = contrast(WORLD.anchors, WORLD.candidates, WORLD.near(near_), WORLD.far(far_), **options)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_hardness_does_not_depend_on_a_temperature() -> None:
    unit = torch.nn.functional.normalize
    s = unit(WORLD.anchors) @ unit(WORLD.candidates).T
    f = torch.where(torch.eye(7, 9).bool(), 0, 0.8 * s)
    expected = (f.softmax(1) * s).sum(1) - s.diagonal()
    options = {"reduction": "none", "engine": Linear(), "temperature": 0.01}
    got = contrast(WORLD.anchors, WORLD.candidates, far=far.harder(0.8), **options)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_simple_and_hard_simple_by_hand() -> None:
    s = torch.tensor([[0.9, 0.7, 0.2, -0.3]], dtype=torch.float64, requires_grad=True)

    def loss(builder: far.Far) -> torch.Tensor:
        return contrast(s, torch.eye(4).double(), far=builder, similarity="dot", engine=Linear())

    simple = loss(far.except_self())
    assert float(simple.detach()) == pytest.approx(-0.9 + (0.7 + 0.2 - 0.3) / 3, rel=1e-12)
    (gradient,) = torch.autograd.grad(simple, s)
    assert gradient[0].tolist() == pytest.approx([-1, 1 / 3, 1 / 3, 1 / 3], rel=1e-12)
    hard = loss(far.except_self() + far.hardest(0.67))
    assert float(hard.detach()) == pytest.approx(-0.9 + (0.7 + 0.2) / 2, rel=1e-12)
    (gradient,) = torch.autograd.grad(hard, s)
    assert gradient[0].tolist() == pytest.approx([-1, 0.5, 0.5, 0], abs=1e-12)


def test_nothing_left_to_push_from() -> None:
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[1] = True
    with pytest.raises(ValueError, match="far removes every candidate"):
        contrast(torch.randn(3, 2), torch.randn(3, 2), far=far.masked(mask), engine=Linear())


def test_an_anchor_without_positive_takes_no_part() -> None:
    p = torch.eye(3, dtype=torch.float64)
    p[1] = 0
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[1] = True
    a = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        contrast(a, a.detach().flip(0), near.weights(p), far.masked(mask), engine=Linear()), a
    )
    assert torch.isfinite(gradient).all()
    assert (gradient[1] == 0).all()
    assert (gradient[0] != 0).any()
