"""The Triton engine against the reference. test_triton.py runs this file in a process of its own."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from cases import FARS, NEARS, gap, value_and_gradients
from triton_cases import DEVICE, OBLONG, OPTIONS, SQUARE, TOLERANCE, on_device, small_blocks

from nearfar import contrast, far, near
from nearfar.engines import symmetric
from nearfar.engines.triton import Triton

__all__ = ["on_device"]


@pytest.mark.parametrize("far_", FARS)
@pytest.mark.parametrize("near_", NEARS)
def test_equals_dense(near_: str, far_: str) -> None:
    # Options and dtypes take turns, so that every builder meets all of them: the interpreter is slow.
    turn = NEARS.index(near_) + FARS.index(far_)
    for options in OPTIONS[turn % 2 :: 2]:
        dtype = (torch.float32, torch.float64)[turn // 2 % 2]
        expected = value_and_gradients(OBLONG, near_, far_, "dense", dtype, **options)
        difference, where = gap(value_and_gradients(OBLONG, near_, far_, small_blocks(), dtype, **options), expected)
        assert difference < TOLERANCE[dtype], (options, dtype, where)


@pytest.mark.parametrize("block_rows", [1, 9, None])
def test_blocks_of_other_heights(block_rows: int | None) -> None:
    for options in ({}, {"symmetric": True}):
        expected = value_and_gradients(OBLONG, "half", "weighted", "dense", **options)
        engine = Triton(block_rows)
        difference, where = gap(value_and_gradients(OBLONG, "half", "weighted", engine, **options), expected)
        assert difference < 1e-10, (options, where)


def test_anchors_as_candidates() -> None:
    for options in OPTIONS:
        expected = value_and_gradients(SQUARE, "same_label_self", "self", "dense", **options)
        difference, where = gap(
            value_and_gradients(SQUARE, "same_label_self", "self", small_blocks(), **options), expected
        )
        assert difference < 1e-10, (options, where)


@pytest.mark.parametrize("far_", ["none", "self", "harder", "distance"])
def test_walks_over_half_of_a_symmetric_problem(far_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    walk = symmetric.walk
    monkeypatch.setattr(symmetric, "walk", lambda *arguments: (calls.append(1), walk(*arguments))[1])
    labels = torch.arange(18) // 3
    for options in ({}, {"reduction": "sum", "similarity": "dot"}, {"symmetric": True}):
        found = []
        for engine in (small_blocks(), "dense"):
            z, u = SQUARE.anchors.clone().requires_grad_(), SQUARE.second_a.to(DEVICE, copy=True).requires_grad_()
            t = torch.tensor(0.3, dtype=z.dtype, requires_grad=True)
            builder = far.by_distance(u, u, 0.7) if far_ == "distance" else SQUARE.far(far_)
            loss = contrast(z, z, near.same_label(labels), builder, temperature=t, engine=engine, **options)
            gradients = torch.autograd.grad(loss, [z, t, *([u] if far_ == "distance" else [])])
            found.append({"loss": loss.detach(), **dict(zip("ztu", gradients, strict=False))})
        difference, where = gap(*found)
        assert difference < 1e-10, (options, where)
    assert len(calls) == 3


def test_large_similarities_over_a_small_temperature() -> None:
    engine = small_blocks()
    a, c = SQUARE.anchors.float().requires_grad_(), SQUARE.candidates.float().requires_grad_()
    _finite_and_right(a, c, engine)
    # Everything is opposite: exp(0 - logZ), which a place outside a ragged tile would have, overflows.
    _finite_and_right(a.detach().abs().requires_grad_(), -c.detach().abs().requires_grad_(), engine)


def _finite_and_right(a: torch.Tensor, c: torch.Tensor, engine: Triton) -> None:
    loss = contrast(a, c, temperature=0.001, engine=engine)
    expected = contrast(a.detach().double(), c.detach().double(), temperature=0.001, engine="dense")
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, [a, c]))


@pytest.mark.parametrize("positives", [False, True])
def test_frozen_sides(positives: bool) -> None:
    engine = small_blocks()
    names = ("anchors", "candidates", "temperature", *(("positives",) if positives else ()))
    for keep in product((False, True), repeat=len(names)):
        frozen = tuple(name for name, kept in zip(names, keep, strict=True) if not kept)
        if len(frozen) == len(names):
            continue
        expected = value_and_gradients(OBLONG, "paired", "self", "dense", positives=positives, frozen=frozen)
        got = value_and_gradients(OBLONG, "paired", "self", engine, positives=positives, frozen=frozen)
        difference, where = gap(got, expected)
        assert difference < 1e-10, (frozen, where)


def test_same_input_same_bits() -> None:
    engine = small_blocks()
    one, other = (value_and_gradients(OBLONG, "paired", "self", engine, torch.float32) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_second_derivative_is_an_error() -> None:
    engine = small_blocks()
    a = SQUARE.anchors.clone().requires_grad_()
    loss = contrast(a, SQUARE.candidates, engine=engine)
    (gradient,) = torch.autograd.grad(loss, a, create_graph=True)
    with pytest.raises(RuntimeError, match='no second derivative; pass engine="dense"'):
        gradient.square().sum().backward()
