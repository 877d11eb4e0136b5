"""The Triton engine against the reference. test_triton.py runs this file in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
from cases import FARS, NEARS, World, gap, value_and_gradients

from nearfar import contrast, far
from nearfar.engines import triton_tiles
from nearfar.engines.triton import Triton
from nearfar.engines.triton_softmax import FusedSoftmax
from nearfar.errors import InputError

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"reduction": "sum", "similarity": "dot"},
    {"reduction": "none"},
    {"symmetric": True},
    {"symmetric": True, "reduction": "sum", "similarity": "dot"},
    {"positives": True},
    {"positives": True, "reduction": "none", "similarity": "dot"},
)


def world(n: int, m: int, d: int, seed: int = 0) -> World:
    with torch.device("cpu"):  # its generator lives there
        result = World(n, m, d, seed)
    for name in ("anchors", "candidates", "positives"):
        setattr(result, name, getattr(result, name).to(DEVICE))
    return result


OBLONG = world(9, 37, 5, seed=2)
SQUARE = world(18, 18, 7, seed=1)


def panels(block_rows: int | None = 4) -> Triton:
    """Several blocks, several chunks in a row, several tiles in a block; none of them divides."""
    return Triton("panels", block_rows, softmax=FusedSoftmax(row_chunk=32, tile=(4, 32)))


def tiles(tile: int | None = 16) -> Triton:
    return Triton("tiles", tile=tile)


@pytest.fixture(autouse=True)
def _on_device() -> Iterator[None]:
    torch.set_default_device(DEVICE)
    yield
    torch.set_default_device(None)


@pytest.mark.parametrize("far_", FARS)
@pytest.mark.parametrize("near_", NEARS)
def test_panels_equal_dense(near_: str, far_: str) -> None:
    # Options and dtypes take turns, so that every builder meets all of them: the interpreter is slow.
    turn = NEARS.index(near_) + FARS.index(far_)
    for options in OPTIONS[turn % 2 :: 2]:
        dtype = (torch.float32, torch.float64)[turn // 2 % 2]
        expected = value_and_gradients(OBLONG, near_, far_, "dense", dtype, **options)
        difference, where = gap(value_and_gradients(OBLONG, near_, far_, panels(), dtype, **options), expected)
        assert difference < TOLERANCE[dtype], (options, dtype, where)


@pytest.mark.parametrize("block_rows", [1, 9, None])
def test_panels_of_other_heights(block_rows: int | None) -> None:
    for options in ({}, {"symmetric": True}):
        expected = value_and_gradients(OBLONG, "half", "weighted", "dense", **options)
        engine = Triton("panels", block_rows)
        difference, where = gap(value_and_gradients(OBLONG, "half", "weighted", engine, **options), expected)
        assert difference < 1e-10, (options, where)


def test_panels_with_anchors_as_candidates() -> None:
    for options in OPTIONS:
        expected = value_and_gradients(SQUARE, "same_label_self", "self", "dense", **options)
        difference, where = gap(value_and_gradients(SQUARE, "same_label_self", "self", panels(), **options), expected)
        assert difference < 1e-10, (options, where)


@pytest.mark.parametrize("programs", [1, 256])
@pytest.mark.parametrize("far_", ["none", "self"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_tiles_equal_dense(far_: str, dtype: torch.dtype, programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_tiles, "PROGRAMS", programs)  # one program for all tiles; one for each
    for (case, tile), options in product(((OBLONG, 16), (OBLONG, 32), (SQUARE, 16)), OPTIONS):
        expected = value_and_gradients(case, "paired", far_, "dense", dtype, **options)
        difference, where = gap(value_and_gradients(case, "paired", far_, tiles(tile), dtype, **options), expected)
        assert difference < TOLERANCE[dtype], (options, case.n, tile, where)


@pytest.mark.parametrize("d", [1, 16, 40, 150])
def test_tiles_of_any_width(d: int) -> None:
    case = world(18, 35, d)
    for tile in (16, None):
        expected = value_and_gradients(case, "paired", "self", "dense")
        difference, where = gap(value_and_gradients(case, "paired", "self", tiles(tile)), expected)
        assert difference < 1e-10, (tile, where)


def test_tiles_and_panels_share_a_shard_s_diagonal() -> None:
    a, c = OBLONG.anchors, OBLONG.candidates
    tau = torch.tensor(0.5, dtype=a.dtype)
    x = a @ c.T / tau
    for i in range(7):
        x[i, i + 6] = -torch.inf
    logz = triton_tiles.logsumexps(a, c, tau, (6, 7), "ieee", 16)
    torch.testing.assert_close(logz, x.logsumexp(1), rtol=1e-10, atol=0)
    scale = torch.rand(len(a), dtype=a.dtype)
    g = scale[:, None] * (x - logz[:, None]).exp()
    for own, others, of_anchors, expected in ((a, c, True, g @ c), (c, a, False, g.T @ a)):
        out = torch.full_like(own, torch.nan)
        triton_tiles.gradient(out, own, others, tau, logz, scale, (6, 7), of_anchors, "ieee", 16)
        torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-12)


def test_an_empty_row_is_no_nan() -> None:
    a, c = OBLONG.anchors[:3], OBLONG.candidates[:1]
    tau = torch.tensor(0.5, dtype=a.dtype)
    logz = triton_tiles.logsumexps(a, c, tau, (0, 3), "ieee", 16)
    assert logz[0] == -torch.inf
    assert torch.isfinite(logz[1:]).all()
    x = torch.full((3, 40), -torch.inf)
    x[1, 20] = 2.0
    z, top = panels().panels.softmax.exponentiate(x.clone())
    assert z.tolist() == [0, 1, 0]
    assert top[1] == 2
    rows, columns = panels().panels.softmax.logsumexps(x.clone())
    assert rows.tolist() == [-torch.inf, 2, -torch.inf]
    assert columns[20] == 2
    assert columns.isneginf().sum() == 39


@pytest.mark.parametrize("engine", [panels(), tiles()], ids=["panels", "tiles"])
def test_large_similarities_over_a_small_temperature(engine: Triton) -> None:
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
@pytest.mark.parametrize("engine", [panels(), tiles()], ids=["panels", "tiles"])
def test_frozen_sides(engine: Triton, positives: bool) -> None:
    names = ("anchors", "candidates", "temperature", *(("positives",) if positives else ()))
    for keep in product((False, True), repeat=len(names)):
        frozen = tuple(name for name, kept in zip(names, keep, strict=True) if not kept)
        if len(frozen) == len(names):
            continue
        expected = value_and_gradients(OBLONG, "paired", "self", "dense", positives=positives, frozen=frozen)
        got = value_and_gradients(OBLONG, "paired", "self", engine, positives=positives, frozen=frozen)
        difference, where = gap(got, expected)
        assert difference < 1e-10, (frozen, where)


def test_a_frozen_side_costs_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    run = triton_tiles.gradient

    def counted(
        out: Any, own: Any, others: Any, t: Any, logz: Any, scale: Any, left: Any, of_anchors: bool, *rest: Any
    ):
        calls.append(of_anchors)
        run(out, own, others, t, logz, scale, left, of_anchors, *rest)

    monkeypatch.setattr(triton_tiles, "gradient", counted)
    value_and_gradients(OBLONG, "paired", "none", tiles(), frozen=("candidates",))
    assert calls == [True]
    value_and_gradients(OBLONG, "paired", "none", tiles(), frozen=("anchors",))
    assert calls == [True, False]


@pytest.mark.parametrize(
    ("precision", "d", "far_", "symmetric", "expected"),
    [
        ("high", 128, None, False, True),
        ("high", 128, far.except_self(), False, True),
        ("high", 129, None, False, False),
        ("highest", 128, None, False, False),
        ("high", 8, far.harder(0.5), False, False),
        ("high", 8, None, True, False),
    ],
)
def test_auto_takes_tiles_for_narrow_index_work(
    precision: str, d: int, far_: Any, symmetric: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    run = triton_tiles.logsumexps
    monkeypatch.setattr(triton_tiles, "logsumexps", lambda a, *rest: (calls.append(len(a)), run(a, *rest))[1])
    a, c = torch.randn(5, d), torch.randn(9, d)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        loss = contrast(a, c, far=far_, symmetric=symmetric, engine="triton")
    finally:
        torch.set_float32_matmul_precision(before)
    assert bool(calls) is expected
    tolerance = 1e-5 if DEVICE == "cpu" or precision == "highest" else 2e-2  # the interpreter knows no tf32
    expected_loss = contrast(a, c, far=far_, symmetric=symmetric, engine="dense")
    assert float(loss) == pytest.approx(float(expected_loss), rel=tolerance)


def test_same_input_same_bits() -> None:
    for engine in (panels(), tiles()):
        one, other = (value_and_gradients(OBLONG, "paired", "self", engine, torch.float32) for _ in range(2))
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("engine", [panels(), tiles()], ids=["panels", "tiles"])
def test_second_derivative_is_refused_in_words(engine: Triton) -> None:
    a = SQUARE.anchors.clone().requires_grad_()
    loss = contrast(a, SQUARE.candidates, engine=engine)
    (gradient,) = torch.autograd.grad(loss, a, create_graph=True)
    with pytest.raises(RuntimeError, match='no second derivative; pass engine="dense"'):
        gradient.square().sum().backward()


def test_what_tiles_cannot_serve_is_refused_in_words() -> None:
    for near_, far_ in (("weights", "none"), ("paired", "masked")):
        with pytest.raises(InputError, match='path="tiles" serves near'):
            value_and_gradients(OBLONG, near_, far_, tiles())
    with pytest.raises(InputError, match="path='tile' is not known"):
        Triton("tile")  # type: ignore[arg-type]
    for tile in (0, 8, 24):
        with pytest.raises(InputError, match="power of two from 16"):
            Triton(tile=tile)
