"""Streaming against the reference: values, every gradient, the work it does, the memory it takes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from cases import FARS, NEARS, Products, World, gap, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar import contrast, far, near
from nearfar.engines import Problem, Streaming, choose

OBLONG = World(n=7, m=11, d=4)
SQUARE = World(n=9, m=9, d=4, seed=1)
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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("far_", FARS)
@pytest.mark.parametrize("near_", NEARS)
def test_equals_dense(near_: str, far_: str, dtype: torch.dtype) -> None:
    for options in OPTIONS:
        expected = value_and_gradients(OBLONG, near_, far_, "dense", dtype, **options)
        for block_rows in (1, 3, None):  # blocks of one row; blocks that do not divide; one block
            got = value_and_gradients(OBLONG, near_, far_, Streaming(block_rows), dtype, **options)
            difference, where = gap(got, expected)
            assert difference < TOLERANCE[dtype], (options, block_rows, where)


@pytest.mark.parametrize("far_", FARS)
def test_equals_dense_with_anchors_as_candidates(far_: str) -> None:
    for options in (*OPTIONS, {"symmetric": True, "reduction": "none"}):
        expected = value_and_gradients(SQUARE, "same_label_self", far_, "dense", **options)
        got = value_and_gradients(SQUARE, "same_label_self", far_, Streaming(4), **options)
        difference, where = gap(got, expected)
        assert difference < 1e-10, (options, where)


@pytest.mark.parametrize("near_", [name for name in NEARS if "paired" not in name])
def test_more_anchors_than_candidates(near_: str) -> None:
    world = World(n=11, m=6, d=3)
    for options in OPTIONS:
        expected = value_and_gradients(world, near_, "masked", "dense", **options)
        difference, where = gap(value_and_gradients(world, near_, "masked", Streaming(4), **options), expected)
        assert difference < 1e-10, (options, where)


def test_one_tensor_on_both_sides_gets_both_gradients() -> None:
    gradients = []
    for engine in ("dense", "streaming"):
        z = SQUARE.anchors.clone().requires_grad_()
        contrast(z, z, near.same_label(SQUARE.labels_b), far.except_self(), engine=engine).backward()  # type: ignore[arg-type]
        gradients.append(z.grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-10, atol=1e-12)


def test_large_similarities_over_a_small_temperature() -> None:
    # exp(1 / 0.001) overflows every float: only differences may be exponentiated.
    a, c = OBLONG.anchors.float(), OBLONG.candidates.float()
    c[0] = a[1]
    for options in ({}, {"symmetric": True}):
        a_, c_ = a.clone().requires_grad_(), c.clone().requires_grad_()
        loss = contrast(a_, c_, temperature=0.001, engine=Streaming(2), **options)  # type: ignore[arg-type]
        expected = contrast(a.double(), c.double(), temperature=0.001, engine="dense", **options)  # type: ignore[arg-type]
        assert loss.item() == pytest.approx(float(expected), rel=1e-5)
        assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, [a_, c_]))


def test_weights_that_no_similarity_could_reach() -> None:
    # exp(10) fits every float, exp(10 + F) does not: a bound of the similarities is none of the sum.
    a, c = OBLONG.anchors.float(), OBLONG.candidates.float()
    far_away = OBLONG.second_b.float() + 100
    for builder in (far.weighted(torch.full((11,), 1e36)), far.by_distance(OBLONG.second_a.float(), far_away, 1.0)):
        got, expected = (contrast(a, c, far=builder, temperature=0.1, engine=e) for e in ("streaming", "dense"))
        torch.testing.assert_close(got, expected)


def test_noncontiguous_inputs() -> None:
    a, c = torch.randn(4, 6, dtype=torch.float64).T, torch.randn(12, 8, dtype=torch.float64)[::2, ::2]
    for options in ({}, {"symmetric": True}, {"reduction": "none"}):
        got = [
            (lambda x, y: torch.autograd.grad(
                contrast(x, y, similarity="dot", temperature=1.0, engine=engine, **options).sum(), [x, y]  # type: ignore[arg-type]
            ))(a.detach().requires_grad_(), c.detach().requires_grad_())
            for engine in (Streaming(4), "dense")
        ]  # fmt: skip
        for one, other in zip(*got, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


# F depends on S in far.harder, and no gradient goes through it: finite differences cannot know.
@pytest.mark.parametrize("far_", ["none", "self", "masked", "weighted", "threshold", "positive", "hardest"])
@pytest.mark.parametrize("near_", NEARS)
def test_finite_differences(near_: str, far_: str) -> None:
    world = World(n=3, m=4, d=2, seed=5)
    leaves = [world.anchors, world.candidates, world.positives, torch.tensor(0.8, dtype=torch.float64)]
    leaves = [x.clone().requires_grad_() for x in leaves]
    for options in ({"similarity": "dot"}, {"reduction": "none"}, {"symmetric": True}):

        def loss(a: torch.Tensor, c: torch.Tensor, p: torch.Tensor, t: torch.Tensor, **more: Any) -> torch.Tensor:
            positives = None if "symmetric" in options else p  # noqa: B023
            return contrast(
                a, c, world.near(near_), world.far(far_), positives, temperature=t, engine=Streaming(2), **options  # type: ignore[arg-type] # noqa: B023
            )  # fmt: skip

        assert torch.autograd.gradcheck(loss, leaves)


@pytest.mark.parametrize("engine", ["dense", "streaming"])
def test_no_gradient_goes_through_the_weight_of_harder(engine: str) -> None:
    s = torch.nn.functional.normalize(OBLONG.anchors, dim=1) @ torch.nn.functional.normalize(OBLONG.candidates, dim=1).T
    constant = (0.8 * s).exp()
    constant.diagonal().fill_(1)
    a, b = (OBLONG.anchors.clone().requires_grad_() for _ in range(2))
    c, options = OBLONG.candidates, {"temperature": 0.3, "engine": engine}
    one = torch.autograd.grad(contrast(a, c, far=far.harder(0.8), **options), a)  # type: ignore[arg-type]
    other = torch.autograd.grad(contrast(b, c, far=far.weighted(constant), **options), b)  # type: ignore[arg-type]
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"reduction": "none"}, {"symmetric": True}], ids=str)
def test_second_derivative_is_refused_in_words(options: dict) -> None:
    a = OBLONG.anchors[:, :3].clone().requires_grad_()
    c = OBLONG.candidates[:7, :3]
    loss = contrast(a, c, engine="streaming", **options).sum()
    (gradient,) = torch.autograd.grad(loss, a, create_graph=True)
    with pytest.raises(RuntimeError, match='no second derivative; pass engine="dense"'):
        gradient.square().sum().backward()


@pytest.mark.parametrize("positives", [False, True])
@pytest.mark.parametrize(
    "frozen",
    [
        ("anchors",),
        ("candidates",),
        ("temperature",),
        ("anchors", "candidates"),
        ("anchors", "temperature"),
        ("candidates", "temperature"),
    ],
    ids=" ".join,
)
def test_frozen_inputs_leave_the_other_gradients_exact(frozen: tuple[str, ...], positives: bool) -> None:
    cases = [{}, {"reduction": "none"}] + ([] if positives else [{"symmetric": True}])
    for options in cases:
        for also in [(), ("positives",)] if positives else [()]:
            arguments = {"positives": positives, "frozen": frozen + also, **options}
            expected = value_and_gradients(OBLONG, "weights", "weighted", "dense", **arguments)
            got = value_and_gradients(OBLONG, "weights", "weighted", Streaming(3), **arguments)
            assert gap(got, expected)[0] < 1e-10, (options, also)


@pytest.mark.parametrize(
    ("near_", "far_", "options", "trained", "products"),
    [
        ("paired", "none", {}, "", 1),
        ("paired", "none", {}, "a", 2),
        ("paired", "none", {}, "c", 2),
        ("paired", "none", {}, "ac", 3),
        ("paired", "none", {}, "act", 3),  # the temperature's gradient costs no product
        ("paired", "none", {}, "t", 2),
        ("paired", "none", {}, "ct", 2),
        ("same_label", "self", {}, "ac", 3),
        ("weights", "masked", {}, "ac", 3),
        ("half", "none", {}, "ac", 4),
        ("paired", "positive", {}, "ac", 4),
        ("paired", "harder", {}, "ac", 3),
        ("paired", "none", {"symmetric": True}, "", 1),
        ("paired", "none", {"symmetric": True}, "a", 3),
        ("paired", "none", {"symmetric": True}, "act", 4),
        ("paired", "none", {"reduction": "none"}, "", 1),
        ("paired", "none", {"reduction": "none"}, "ac", 4),
    ],
)
def test_no_needless_product(near_: str, far_: str, options: dict, trained: str, products: int) -> None:
    blocks, rows = 3, 3
    a = SQUARE.anchors.clone().requires_grad_("a" in trained)
    c = SQUARE.candidates.clone().requires_grad_("c" in trained)
    t = torch.tensor(0.3, dtype=torch.float64).requires_grad_("t" in trained)
    with Products() as counted:
        loss = contrast(
            a, c, SQUARE.near(near_), SQUARE.far(far_), temperature=t, engine=Streaming(rows), **options
        ).sum()
        if trained:
            loss.backward()
    assert counted.count == products * blocks


def test_evaluation_does_no_work_for_gradients() -> None:
    a, c = SQUARE.anchors.clone().requires_grad_(), SQUARE.candidates.clone().requires_grad_()
    with torch.no_grad(), Products() as counted:
        contrast(a, c, engine=Streaming(9))
    assert counted.count == 1
    with torch.inference_mode():
        assert not contrast(a, c, engine=Streaming(9)).requires_grad


def test_auto_streams_on_a_cpu() -> None:
    problem = Problem(torch.ones(2, 1), torch.ones(2, 1), near.paired(), None, torch.tensor(1.0))
    assert isinstance(choose("auto", problem, None), Streaming)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 8),
    extra=st.integers(0, 5),
    d=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    near_=st.sampled_from(NEARS),
    far_=st.sampled_from([f for f in FARS if "self" not in f]),
    options=st.sampled_from(OPTIONS),
    block_rows=st.integers(1, 9),
)
def test_equals_dense_whatever_the_shape(
    n: int, extra: int, d: int, seed: int, near_: str, far_: str, options: dict, block_rows: int
) -> None:
    world = World(n=n, m=n + extra, d=d, seed=seed)
    try:
        expected = value_and_gradients(world, near_, far_, "dense", **options)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)[:20]):
            value_and_gradients(world, near_, far_, Streaming(block_rows), **options)
        return
    assert gap(value_and_gradients(world, near_, far_, Streaming(block_rows), **options), expected)[0] < 1e-9


MEMORY = """
import resource, sys, torch
from pathlib import Path
from nearfar import contrast, far, near
from nearfar.engines import Dense, Streaming
torch.set_num_threads(2)
n, engine = int(sys.argv[1]), {"dense": Dense(), "streaming": Streaming(128)}[sys.argv[2]]
def peak():
    # On Linux ru_maxrss starts from the size of the process that started this one; VmHWM does not.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
def run(n, **options):
    a, c = torch.randn(n, 32, requires_grad=True), torch.randn(n, 32, requires_grad=True)
    contrast(a, c, engine=engine, **options).sum().backward()
def guided(n):
    labels, guide = torch.arange(n) % (n // 4), torch.randn(n, 8)
    run(n, near=near.same_label(labels, labels), far=far.except_likely_positives(guide, guide, 0.8))
cases = {
    "paired": run,
    "rows": lambda n: run(n, reduction="none"),
    "symmetric": lambda n: run(n, symmetric=True),
    "guided": guided,
}
for case in sys.argv[3:]:
    cases[case](64)
before = peak()
for case in sys.argv[3:]:
    cases[case](n)
    print(case, round(peak() - before))
"""


def grown(n: int, engine: str, *cases: str) -> dict[str, int]:
    """MiB by which the peak of a fresh process has grown after each case."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(n), engine, *cases], capture_output=True, text=True, check=True
    )
    return {case: int(size) for case, size in (line.split() for line in done.stdout.splitlines())}


@pytest.mark.slow
def test_memory_stays_flat_where_a_matrix_would_show() -> None:
    n = 4_096
    matrix = n * n * 4 // 2**20
    assert grown(n, "dense", "paired")["paired"] > matrix  # the measurement itself
    growth = grown(n, "streaming", "paired", "rows", "symmetric", "guided")
    assert growth["guided"] < matrix / 2, growth
