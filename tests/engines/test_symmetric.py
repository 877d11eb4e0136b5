"""Symmetric problems, one tensor on both sides: half of S against the reference, and where that is not allowed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import Products, gap
from torch import Tensor

from nearfar import contrast, far, near
from nearfar.engines import Streaming, symmetric
from nearfar.engines.softmax import Softmax
from nearfar.far import Far
from nearfar.near import Near

N = 75
G = torch.Generator().manual_seed(0)
Z, U, GUIDE = (torch.randn(N, d, generator=G, dtype=torch.float64) for d in (4, 2, 3))
PAIRS, CLASSES = torch.arange(N) // 2, torch.arange(N) % 4  # the last of the pairs has no partner
NEARS: dict[str, Callable[[], Near]] = {
    "paired": near.paired,
    "pairs": lambda: near.same_label(PAIRS),
    "classes": lambda: near.same_label(CLASSES),
    "pairs and self": lambda: near.same_label(PAIRS, PAIRS),
    "classes and self": lambda: near.same_label(CLASSES, CLASSES),
}
FARS: dict[str, Callable[[Tensor], Far | None]] = {
    "none": lambda u: None,
    "self": lambda u: far.except_self(),
    "harder": lambda u: far.harder(0.8),
    "threshold": lambda u: far.except_likely_positives(GUIDE, GUIDE, 0.4),
    "distance": lambda u: far.by_distance(u, u, 0.7),
    "all": lambda u: (
        far.except_self()
        + far.by_distance(u, u, 0.7)
        + far.harder(0.8)
        + far.except_likely_positives(GUIDE, GUIDE, 0.4)
    ),
}
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"reduction": "sum", "similarity": "dot"},
    {"symmetric": True},
    {"symmetric": True, "reduction": "sum"},
    {"reduction": "none"},
)


def outcome(
    near_: str, far_: str, engine: Any, wanted: str = "ztu", t: float = 0.3, **options: Any
) -> dict[str, Tensor]:
    leaves = {"z": Z.clone(), "t": torch.tensor(t, dtype=Z.dtype), "u": U.clone()}
    for name, x in leaves.items():
        x.requires_grad_(name in wanted)
    z, tau, u = leaves.values()
    loss = contrast(z, z, NEARS[near_](), FARS[far_](u), temperature=tau, engine=engine, **options)
    scalar = loss if loss.ndim == 0 else (loss * torch.arange(N)).sum()
    names = [name for name in wanted if name != "u" or far_ in ("distance", "all")]
    gradients = torch.autograd.grad(scalar, [leaves[name] for name in names])
    return {"loss": loss.detach(), **dict(zip(names, gradients, strict=True))}


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for every walk over half of S."""
    calls: list[int] = []
    walk = symmetric.walk
    monkeypatch.setattr(symmetric, "walk", lambda *arguments: (calls.append(1), walk(*arguments))[1])
    return calls


@pytest.mark.parametrize("far_", FARS)
@pytest.mark.parametrize("near_", NEARS)
def test_equals_dense(near_: str, far_: str, walks: list[int]) -> None:
    for options in OPTIONS:
        expected = outcome(near_, far_, "dense", **options)
        for block_rows in (1, 8, None):
            difference, where = gap(outcome(near_, far_, Streaming(block_rows), **options), expected)
            assert difference < 1e-10, (options, block_rows, where)
    assert len(walks) == 3 * 4  # row losses have weights of their own


def test_blocks_of_one_row_and_more_at_the_edge_of_what_exp_can_take(walks: list[int]) -> None:
    # In float32 exp(x) is safe up to 88: reach + log n is below at 0.0125, and above at 0.0115.
    z = Z.float()
    for t in (0.0125, 0.0115, 0.001):
        z_ = z.clone().requires_grad_()
        loss = contrast(z_, z_, near.same_label(PAIRS), far.except_self(), temperature=t, engine=Streaming(8))
        exact = Z.float().double().requires_grad_()
        expected = contrast(exact, exact, near.same_label(PAIRS), far.except_self(), temperature=t, engine="dense")
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
        (got,), (wanted,) = torch.autograd.grad(loss, z_), torch.autograd.grad(expected, exact)
        assert (got - wanted).norm() < 1e-3 * wanted.norm()
    assert len(walks) == 3


def test_the_bound_of_an_entry_leaves_room_for_the_sum_of_a_whole_row() -> None:
    reaches: list[float] = []

    class Recorded(Softmax):
        def logsumexps(self, x: Tensor, reach: float = math.inf) -> tuple[Tensor, Tensor]:
            reaches.append(reach)
            return super().logsumexps(x, reach)

        def exponentiate_both(self, x: Tensor, *shifts: Tensor, reach: float = math.inf) -> None:  # type: ignore[override]
            *shifts_, reach = (*shifts, reach) if len(shifts) == 2 else shifts
            reaches.append(reach)
            super().exponentiate_both(x, *shifts_, reach)

    z = Z.clone().requires_grad_()
    for far_ in (far.except_self(), far.by_distance(U, U, 1.0)):
        reaches.clear()
        contrast(z, z, near.same_label(PAIRS), far_, temperature=0.1, engine=Streaming(25, Recorded()))
        expected = 10 + math.log(N) if far_.only_masks else math.inf
        assert reaches == [pytest.approx(expected)] * 6


@pytest.mark.parametrize("wanted", ["z", "t", "u", "zu", "tu"])
def test_frozen_inputs_leave_the_other_gradients_exact(wanted: str) -> None:
    expected = outcome("pairs", "all", "dense", wanted)
    assert gap(outcome("pairs", "all", Streaming(8), wanted), expected)[0] < 1e-10


def test_a_second_backward_pass() -> None:
    z = Z.clone().requires_grad_()
    loss = contrast(z, z, near.same_label(PAIRS), far.except_self(), engine="streaming")
    loss.backward(retain_graph=True)
    assert z.grad is not None
    once = z.grad.clone()
    (3 * loss).backward()
    torch.testing.assert_close(z.grad, 4 * once)


@pytest.mark.parametrize(("trained", "products"), [("", 1), ("z", 3), ("zt", 3)])
def test_no_needless_product(trained: str, products: int) -> None:
    # Each is over half of S: similarities, which are kept for the gradients of both sides.
    z = Z.clone().requires_grad_("z" in trained)
    t = torch.tensor(0.3, dtype=Z.dtype).requires_grad_("t" in trained)
    with Products() as counted:
        loss = contrast(z, z, near.same_label(PAIRS), far.except_self(), temperature=t, engine=Streaming(25))
        if trained:
            loss.backward()
    assert counted.count == products * 3


def test_only_where_it_is_declared_and_the_sides_are_one_tensor(walks: list[int]) -> None:
    z = Z.clone().requires_grad_()
    labels, supcon = near.same_label(PAIRS), {"far": far.except_self()}
    others: tuple[tuple[Tensor, Tensor, Near, dict[str, Any]], ...] = (
        (z, z.clone(), labels, supcon),
        (z, z.detach(), labels, supcon),
        (z, z, near.smoothed(labels, 0.1), supcon),
        (z, z, near.weights(torch.ones(N, N)), supcon),
        (z, z, near.by_similarity(GUIDE, GUIDE), supcon),
        (z, z, near.same_label(PAIRS, PAIRS.clone()), supcon),
        (z, z, labels, {"far": far.weighted(torch.rand(N, generator=G))}),
        (z, z, labels, {"far": far.masked(torch.eye(N).bool())}),
        (z, z, labels, {"far": far.except_likely_positives(GUIDE, GUIDE)}),
        (z, z, labels, {"far": far.except_likely_positives(GUIDE, GUIDE.flip(0), 0.4)}),
        (z, z, labels, {"far": far.by_distance(U, U.flip(0), 0.4)}),
        (z, z, labels, {"far": far.except_self() + far.hardest(0.5)}),
        (z, z, labels, {"positives": GUIDE @ torch.ones(3, 4, dtype=Z.dtype), **supcon}),
    )
    for a, c, builder, options in others:
        # Dot products take the tensor as it is, so that both sides are the same object for the engine too.
        for more in ({}, {"similarity": "dot", "temperature": 1.0}):
            engines = ("streaming", "dense")
            got, expected = (contrast(a, c, builder, engine=engine, **options, **more) for engine in engines)
            torch.testing.assert_close(got, expected)
            gradients = [torch.autograd.grad(loss, z)[0] for loss in (got, expected)]
            torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    assert not walks
    contrast(z, z, labels, engine="streaming", **supcon)
    assert walks


def test_an_empty_denominator_is_an_error_if_the_anchor_takes_part() -> None:
    z, guide = Z.clone()[:4], torch.ones(4, 2)
    for builder, fails in ((near.same_label([0, 0, 1, 2]), False), (near.paired(), True)):
        # The guide finds everyone too similar: what is left are positives.
        removed = far.except_self() + far.except_likely_positives(guide, guide, 0.5)
        if fails:
            with pytest.raises(ValueError, match="far removes"):
                contrast(z, z, builder, removed, engine=Streaming(2))
            continue
        x = z.clone().requires_grad_()
        loss = contrast(x, x, builder, removed, engine=Streaming(2))
        (gradient,) = torch.autograd.grad(loss, x)
        assert torch.isfinite(gradient).all()
        assert (gradient[2:] == 0).all()
