"""`contrast` against values that are known from elsewhere; its dtypes, its invariances, its errors."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nearfar import contrast, far, near

ENGINES = ("dense", "streaming")
engines = pytest.mark.parametrize("engine", ENGINES)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=1)


# Known values


@engines
def test_infonce_is_cross_entropy(engine: Any) -> None:
    a, c = randn(5, 3), randn(8, 3, seed=1)
    s = unit(a) @ unit(c).T / 0.05
    for reduction in ("mean", "sum", "none"):
        expected = F.cross_entropy(s, torch.arange(5), reduction=reduction)
        torch.testing.assert_close(contrast(a, c, reduction=reduction, engine=engine), expected)  # type: ignore[arg-type]


@engines
def test_clip_is_cross_entropy_both_ways(engine: Any) -> None:
    a, c = randn(6, 4), randn(6, 4, seed=1)
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    s = scale.exp() * unit(a) @ unit(c).T
    expected = (F.cross_entropy(s, torch.arange(6)) + F.cross_entropy(s.T, torch.arange(6))) / 2
    (gradient,) = torch.autograd.grad(expected, scale)
    got = contrast(a, c, temperature=(-scale).exp(), symmetric=True, engine=engine)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(torch.autograd.grad(got, scale)[0], gradient)


@engines
def test_supcon(engine: Any) -> None:
    z, labels = randn(7, 3), torch.tensor([0, 1, 0, 2, 1, 0, 3])
    s = unit(z) @ unit(z).T / 0.1
    losses = []
    for i in range(7):
        others = [k for k in range(7) if k != i]
        positives = [k for k in others if labels[k] == labels[i]]
        if positives:
            log_z = torch.logsumexp(s[i, others], 0)
            losses.append(torch.stack([log_z - s[i, k] for k in positives]).mean())
    assert len(losses) == 5
    got = contrast(z, z, near.same_label(labels), far.except_self(), temperature=0.1, engine=engine)
    torch.testing.assert_close(got, torch.stack(losses).mean())


@engines
@pytest.mark.parametrize(
    ("temperature", "loss", "gradient"),
    [
        (0.07, 0.05588688, [-0.776484, 0.775870, 0.000613, 0.000000]),
        (0.2, 0.33686900, [-1.429988, 1.313334, 0.107805, 0.008849]),
        (0.5, 0.69695739, [-1.003803, 0.667771, 0.245659, 0.090373]),
        (1.0, 0.96184147, [-0.617812, 0.312909, 0.189789, 0.115113]),
    ],
)
def test_one_anchor_worked_out(temperature: float, loss: float, gradient: list[float], engine: Any) -> None:
    # With unit vectors as candidates the anchor's gradient is that of the similarities: one positive, three negatives.
    s = torch.tensor([[0.9, 0.7, 0.2, -0.3]], dtype=torch.float64, requires_grad=True)
    got = contrast(s, torch.eye(4).double(), temperature=temperature, similarity="dot", engine=engine)
    got.backward()
    assert got.item() == pytest.approx(loss, abs=1e-8)
    assert s.grad is not None
    assert s.grad[0].tolist() == pytest.approx(gradient, abs=1e-6)
    assert float(s.grad.sum()) == pytest.approx(0, abs=1e-10)


@engines
def test_continuous_weights_worked_out(engine: Any) -> None:
    # Frozen vectors p with cosine 0.96: weights 1 and 0.98, so P = [0.5051, 0.4949].
    p, q = torch.tensor([[0.8, 0.6], [0.6, 0.8]], dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    weighted = contrast(p, q, near.by_similarity(p, p, "half"), temperature=0.5, engine=engine)
    plain = contrast(q, p, temperature=0.5, engine=engine)
    assert float(weighted) == pytest.approx(0.7109950504, abs=1e-10)
    assert float(plain) == pytest.approx(0.5130152524, abs=1e-10)


@engines
def test_equal_similarities_give_the_log_of_the_number_of_candidates(engine: Any) -> None:
    a, c = torch.ones(6, 2), torch.ones(6, 2)
    guide = randn(6, 3)
    for target in (near.paired(), near.by_similarity(guide, guide)):
        assert float(contrast(a, c, target, engine=engine)) == pytest.approx(1.791759469, abs=1e-6)


@engines
def test_loss_is_bounded_by_the_entropy_of_the_target(engine: Any) -> None:
    guide = randn(5, 3)
    w = (unit(guide) @ unit(guide).T + 1) / 2
    p = w / w.sum(1, keepdim=True)
    entropy = -(p * p.log()).sum(1).mean()
    best = contrast(p.log(), torch.eye(5).double(), near.by_similarity(guide, guide), None, None, 1.0, "dot")
    torch.testing.assert_close(best, entropy)
    assert contrast(randn(5, 5, seed=2), torch.eye(5).double(), near.weights(p), engine=engine) > entropy


@engines
def test_positives_pull_and_candidates_push(engine: Any) -> None:
    a, c, p = randn(3, 2), randn(4, 2, seed=1), randn(4, 2, seed=2)
    log_z = torch.logsumexp(a @ c.T, 1)
    expected = (log_z - (a @ p.T).diagonal()).mean()
    got = contrast(a, c, positives=p, temperature=1.0, similarity="dot", engine=engine)
    torch.testing.assert_close(got, expected)


@engines
@pytest.mark.parametrize("own", [None, "positives"])
def test_a_mean_over_no_anchors_can_be_zero_with_zero_gradients(engine: Any, own: str | None) -> None:
    a, c = randn(3, 2).requires_grad_(), randn(4, 2, seed=1).requires_grad_()
    nobody = near.same_label(torch.tensor([7, 8, 9]), torch.tensor([0, 1, 2, 3]))
    options: Any = {"engine": engine, "positives": None if own is None else randn(4, 2, seed=2)}
    loss = contrast(a, c, nobody, empty="zero", **options)
    assert loss.item() == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(loss, (a, c)))
    with pytest.raises(ValueError, match="no anchor has a positive"):
        contrast(a, c, nobody, **options)
    some = near.same_label(torch.tensor([7, 1, 9]), torch.tensor([0, 1, 2, 3]))
    torch.testing.assert_close(contrast(a, c, some, empty="zero", **options), contrast(a, c, some, **options))


# Dtypes


@engines
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", [{}, {"symmetric": True}, {"reduction": "none"}], ids=str)
def test_half_precision_is_summed_in_float32(dtype: torch.dtype, options: dict, engine: Any) -> None:
    low = [randn(40, 8, seed=k, dtype=dtype).requires_grad_() for k in (0, 1)]
    high = [x.detach().float().requires_grad_() for x in low]
    one, other = (contrast(*pair, engine=engine, **options) for pair in (low, high))
    assert one.dtype == torch.float32
    assert torch.equal(one, other)
    for x, g, exact in zip(low, torch.autograd.grad(one.sum(), low), torch.autograd.grad(other.sum(), high)):  # noqa: B905
        assert g.dtype == x.dtype == dtype
        torch.testing.assert_close(g, exact.to(dtype))


@engines
def test_one_half_one_full(engine: Any) -> None:
    a, c = randn(4, 3, dtype=torch.bfloat16).requires_grad_(), randn(4, 3, seed=1).requires_grad_()
    t = torch.tensor(0.3, requires_grad=True)
    loss = contrast(a, c, temperature=t, engine=engine)
    assert loss.dtype == torch.float64
    loss.backward()
    assert (a.grad.dtype, c.grad.dtype, t.grad.dtype) == (torch.bfloat16, torch.float64, torch.float32)  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [{}, {"symmetric": True}, {"reduction": "none"}], ids=str)
def test_autocast_lowers_nothing(options: dict) -> None:
    target = near.by_similarity(randn(9, 3, dtype=torch.float32), randn(9, 3, seed=5, dtype=torch.float32))
    a, c = (randn(9, 4, seed=k, dtype=torch.float32).requires_grad_() for k in (0, 1))
    loss = contrast(a, c, target, engine="streaming", **options)
    gradients = torch.autograd.grad(loss.sum(), [a, c])
    with torch.autocast("cpu", torch.bfloat16):
        assert (a @ c.T).dtype == torch.bfloat16
        low = contrast(a, c, target, engine="streaming", **options)
        low_gradients = torch.autograd.grad(low.sum(), [a, c])  # inside, where autograd would be lowered too
    assert torch.equal(low, loss)
    assert all(torch.equal(x, y) for x, y in zip(low_gradients, gradients, strict=True))
    with torch.autocast("cpu", torch.bfloat16):
        dense = contrast(a, c, target, engine="dense")
    torch.testing.assert_close(dense, contrast(a, c, target, engine="streaming"), rtol=1e-6, atol=0)


# Invariances

shapes = {"n": st.integers(1, 6), "extra": st.integers(0, 4), "d": st.integers(1, 5), "seed": st.integers(0, 10**6)}
quick = settings(max_examples=40, deadline=None, derandomize=True)
either = st.sampled_from(ENGINES)


@quick
@given(**shapes, engine=either)
def test_order_of_candidates_does_not_matter(n: int, extra: int, d: int, seed: int, engine: Any) -> None:
    m = n + extra
    a, c = randn(n, d, seed=seed), randn(m, d, seed=seed + 1)
    order = torch.randperm(m, generator=torch.Generator().manual_seed(seed))
    p = torch.eye(n, m)
    one = contrast(a, c, temperature=0.5, engine=engine)
    other = contrast(a, c[order], near.weights(p[:, order]), temperature=0.5, engine=engine)
    torch.testing.assert_close(one, other)


@quick
@given(**shapes, engine=either, value=st.floats(-1e3, 1e3))
def test_a_candidate_that_is_masked_out_changes_nothing(
    n: int, extra: int, d: int, seed: int, engine: Any, value: float
) -> None:
    a, c = randn(n, d, seed=seed).requires_grad_(), randn(n + extra, d, seed=seed + 1)
    mask = torch.zeros(n, n + extra + 1, dtype=torch.bool)
    mask[:, -1] = True
    more = torch.cat([c, torch.full((1, d), value, dtype=c.dtype)])
    options = {"similarity": "dot", "temperature": 0.5, "engine": engine}
    one, other = contrast(a, c, **options), contrast(a, more, far=far.masked(mask), **options)
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(torch.autograd.grad(one, a), torch.autograd.grad(other, a))


@quick
@given(**shapes, engine=either, scale=st.floats(1e-3, 1e3))
def test_cosine_ignores_lengths(n: int, extra: int, d: int, seed: int, engine: Any, scale: float) -> None:
    a, c = randn(n, d, seed=seed), randn(n + extra, d, seed=seed + 1)
    one = contrast(a, c, engine=engine)
    other = contrast(a * scale, c / scale, engine=engine)
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    dot = contrast(unit(a), unit(c), similarity="dot", engine=engine)
    torch.testing.assert_close(one, dot, rtol=1e-9, atol=1e-9)


@quick
@given(**shapes, engine=either)
def test_an_anchor_weighs_what_its_row_sums_to(n: int, extra: int, d: int, seed: int, engine: Any) -> None:
    a, c = randn(n, d, seed=seed), randn(n + extra, d, seed=seed + 1)
    p = torch.rand(n, n + extra, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    factor = torch.arange(1, n + 1, dtype=torch.float64)
    one = contrast(a, c, near.weights(p), reduction="none", engine=engine)
    other = contrast(a, c, near.weights(p * factor[:, None]), reduction="none", engine=engine)
    torch.testing.assert_close(other, one * factor)


# Errors

OK = torch.randn(3, 2)


def bad(value: float, row: int) -> Tensor:
    x = OK.clone()
    x[row, 1] = value
    return x


@engines
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anchors": torch.empty(0, 2)}, r"anchors: .*\(0, 2\)"),
        ({"candidates": torch.empty(0, 2)}, r"candidates: .*\(0, 2\)"),
        ({"anchors": torch.empty(3, 0)}, r"anchors: .*\(3, 0\)"),
        ({"anchors": torch.randn(2)}, r"anchors: .*\(2,\)"),
        ({"candidates": torch.randn(1, 3, 2)}, r"candidates: .*\(1, 3, 2\)"),
        ({"candidates": torch.randn(3, 4)}, r"same width.*\(3, 2\) and \(3, 4\)"),
        ({"positives": torch.randn(3, 4)}, r"anchors and positives"),
        ({"positives": torch.randn(2, 2)}, "each of the 3 candidates, got 2"),
        ({"anchors": torch.ones(3, 2, dtype=torch.long)}, "anchors: .*torch.int64"),
        ({"candidates": torch.ones(3, 2, dtype=torch.complex64)}, "candidates: .*complex64"),
        ({"candidates": torch.empty(3, 2, device="meta")}, "anchors are on cpu, candidates on meta"),
        ({"positives": torch.empty(3, 2, device="meta")}, "anchors are on cpu, positives on meta"),
        ({"anchors": bad(float("nan"), 1)}, r"anchors\[1\] contains NaN"),
        ({"candidates": bad(float("inf"), 2)}, r"candidates\[2\] contains NaN"),
        ({"positives": bad(-float("inf"), 0)}, r"positives\[0\] contains NaN"),
        ({"anchors": bad(float("nan"), 1), "symmetric": True}, r"anchors\[1\] contains NaN"),
        ({"anchors": bad(float("nan"), 1), "reduction": "none"}, r"anchors\[1\] contains NaN"),
        ({"temperature": 0}, "temperature: .*got 0.0"),
        ({"temperature": -0.1}, "temperature: .*got -0.1"),
        ({"temperature": float("nan")}, "temperature: .*got nan"),
        ({"temperature": torch.tensor(0.0)}, "temperature: "),
        ({"temperature": torch.ones(3)}, r"temperature: .*\(3,\)"),
        ({"similarity": "euclid"}, "similarity: .*'euclid'"),
        ({"reduction": "max"}, "reduction: .*'max'"),
        ({"near": near.weights(torch.zeros(3, 3))}, "no anchor has a positive"),
        ({"near": near.same_label([0, 1, 2])}, "no anchor has a positive"),
        ({"near": near.same_label([0, 1, 2]), "symmetric": True}, "no anchor has a positive"),
        ({"candidates": torch.randn(4, 2), "symmetric": True, "reduction": "none"}, "as many candidates as anchors"),
        ({"positives": OK, "symmetric": True}, "symmetric=True cannot be used with positives="),
        ({"positives": OK, "symmetric": True, "reduction": "none"}, "symmetric=True cannot be used with positives="),
        ({"empty": "zero", "symmetric": True}, "empty"),
        ({"empty": "nothing"}, "empty: .*'nothing'"),
        ({"anchors": OK * 1e30, "candidates": OK * 1e30, "similarity": "dot"}, "similarity / temperature overflows"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str, engine: Any) -> None:
    with pytest.raises(ValueError, match=message):
        contrast(**{"anchors": OK, "candidates": OK, "engine": engine, **arguments})


def test_unknown_engine() -> None:
    with pytest.raises(ValueError, match=r"engine: .*'fast'"):
        contrast(OK, OK, engine="fast")  # type: ignore[arg-type]


@engines
def test_nan_in_a_row_without_positive_does_not_slip_into_the_gradients(engine: Any) -> None:
    p = torch.eye(3)
    p[1] = 0
    with pytest.raises(ValueError, match=r"anchors\[1\] contains NaN"):
        contrast(bad(float("nan"), 1).requires_grad_(), OK, near.weights(p), engine=engine)


@engines
def test_a_sum_over_no_anchor_is_zero(engine: Any) -> None:
    a = OK.clone().requires_grad_()
    loss = contrast(a, OK, near.weights(torch.zeros(3, 3)), reduction="sum", engine=engine)
    assert loss.item() == 0
    assert torch.autograd.grad(loss, a)[0].abs().max() == 0


# Imports


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_imports_without_torch_and_the_kernel_with_torch_alone() -> None:
    code = """
import sys
import nearfar
assert not {"torch", "numpy", "nearfar.engines"} & set(sys.modules), "import nearfar took more along"
import torch, torch.distributed
before = set(sys.modules)
nearfar.contrast(torch.eye(2), torch.eye(2)), nearfar.near, nearfar.far
roots = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(roots - set(sys.stdlib_module_names) - {"torch"}))
"""
    assert run(code).split() == ["nearfar"]


@pytest.mark.parametrize(
    "first",
    ["import nearfar.losses", "import nearfar.contrast", "import nearfar.engines.streaming", "from nearfar import far"],
)
def test_the_name_is_the_function_whoever_imports_first(first: str) -> None:
    code = f"""
{first}
import importlib, nearfar
from nearfar import contrast
from nearfar.contrast import contrast as same
importlib.import_module("nearfar.contrast")
assert nearfar.contrast is contrast is same and callable(contrast)
"""
    run(code)
