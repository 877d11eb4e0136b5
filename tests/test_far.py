"""Builders of F: the matrix each one means, and how they add up."""

from __future__ import annotations

from math import exp, inf, log

import pytest
import torch
from torch import Tensor

from nearfar import contrast, far, near
from nearfar.blocks import Far, Near

S = torch.tensor([[0.9, 0.2, -0.4, 0.1], [0.3, 0.8, 0.5, -0.6], [0.0, -0.2, 0.7, 0.4]], dtype=torch.float64)
# Angles of reference vectors: cosines are easy to read off.
DEGREES_A, DEGREES_B = torch.tensor([0.0, 90.0, 180.0]), torch.tensor([20.0, 80.0, 120.0, 10.0])
TEMPERATURE = 0.5


def vectors(degrees: Tensor) -> Tensor:
    return torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], dim=1) * 3


def matrix(builder: Far, target: Near | None = None, block: int = 2) -> Tensor:
    """F, taken block by block as an engine would."""
    n, m = S.shape
    bound_near, bound = (target or near.paired()).bind(n, m, S), builder.bind(n, m, S)
    f = torch.empty_like(S)
    for start in range(0, n, block):
        rows = slice(start, min(start + block, n))
        x = S[rows] / TEMPERATURE
        bound.add_to(x, rows, bound_near.at(rows), TEMPERATURE)
        f[rows] = x - S[rows] / TEMPERATURE
    return f


def close(f: Tensor, expected: list[list[float]]) -> bool:
    return torch.allclose(f, torch.tensor(expected, dtype=f.dtype), atol=1e-12)


def test_except_self() -> None:
    assert close(matrix(far.except_self()), [[-inf, 0, 0, 0], [0, -inf, 0, 0], [0, 0, -inf, 0]])


def test_except_same_label() -> None:
    f = matrix(far.except_same_label(torch.tensor([5, 6, 7]), torch.tensor([5, 7, 6, 5])))
    assert close(f, [[0, 0, 0, -inf], [0, 0, -inf, 0], [0, -inf, 0, 0]])  # the first candidate is a positive and stays


def test_masked() -> None:
    mask = torch.tensor([[False, True, False, False], [False] * 4, [True, False, False, True]])
    assert close(matrix(far.masked(mask)), [[0, -inf, 0, 0], [0, 0, 0, 0], [-inf, 0, 0, -inf]])


def test_weighted() -> None:
    w = torch.tensor([[1, 2, 0, 1], [0.5, 1, 1, 1], [1, 1, 1, 3.0]])
    assert torch.allclose(matrix(far.weighted(w)), w.double().log(), atol=1e-6)


def test_weighted_by_column() -> None:
    w = torch.tensor([1, 2, 0, 0.5])
    same = far.weighted(w.expand(3, 4))
    assert torch.allclose(matrix(far.weighted(w)), w.double().log().expand(3, 4), atol=1e-6)
    bound, expected = (x.transposed().bind(4, 3, S.T) for x in (far.weighted(w), same))
    got, wanted = S.T.clone(), S.T.clone()
    for x, builder in ((got, bound), (wanted, expected)):
        builder.add_to(x[1:3], slice(1, 3), near.paired().transposed().bind(4, 3, S.T).at(slice(1, 3)), 1.0)
    assert torch.equal(got, wanted)
    assert not torch.equal(got, S.T)


def test_weights_of_the_columns_take_memory_for_one_row() -> None:
    w = torch.rand(1_000)
    bound = far.weighted(w).bind(1_000_000, 1_000, w)
    assert bound.lean
    assert bound.f.numel() == 1_000  # type: ignore[attr-defined]


def test_by_distance() -> None:
    a, b = torch.tensor([[0.0, 0], [3, 4], [1, 1]]), torch.tensor([[0.0, 0], [3, 4], [0, 1], [1, 1]])
    squared = torch.tensor([[0, 25, 1, 2], [25, 0, 18, 13], [2, 13, 1, 0]])
    expected = (-squared / (2 * 0.5)).tolist()
    assert close(matrix(far.by_distance(a, b, 0.5)), expected)
    turned = far.by_distance(b, a, 0.5).transposed()
    assert close(matrix(turned), expected)


@pytest.mark.parametrize("engine", ["dense", "streaming"])
def test_a_kernel_estimate_of_the_joint_entropy(engine) -> None:
    # Louiset et al. 2024: mean over i of log mean over j of exp(-(|c_i - c_j|^2 + |u_i - u_j|^2) / (2 tau)).
    g = torch.Generator().manual_seed(5)
    c = torch.nn.functional.normalize(torch.randn(6, 3, generator=g, dtype=torch.float64)).requires_grad_()
    u = torch.randn(6, 2, generator=g, dtype=torch.float64, requires_grad=True)
    squared = ((c[:, None] - c) ** 2).sum(2) + ((u[:, None] - u) ** 2).sum(2)
    expected = (-squared / (2 * 0.5)).exp().mean(1).log().mean()
    got = contrast(c, c, far=far.by_distance(u, u, 0.5), temperature=0.5, engine=engine) - log(6)
    torch.testing.assert_close(got, expected)
    for one, other in zip(torch.autograd.grad(got, [c, u]), torch.autograd.grad(expected, [c, u]), strict=True):
        # c is of length one here: the part of the gradient along c_i is not seen by cosines.
        tangential = (other - (other * c).sum(1, keepdim=True) * c) if other.shape == c.shape else other
        torch.testing.assert_close(one, tangential)


def test_likely_positives_above_a_threshold() -> None:
    # cos of the angles between: row 0: 20, 80, 120, 10; row 1: 70, 10, 30, 80; row 2: 160, 100, 60, 170.
    f = matrix(far.except_likely_positives(vectors(DEGREES_A), vectors(DEGREES_B), 0.8))
    assert close(f, [[0, 0, 0, -inf], [0, 0, -inf, 0], [0, 0, 0, 0]])
    # The margin lowers the threshold to cos 70 and a little: one more in row 1.
    f = matrix(far.except_likely_positives(vectors(DEGREES_A), vectors(DEGREES_B), 0.8, margin=0.46))
    assert close(f, [[0, 0, 0, -inf], [-inf, 0, -inf, 0], [0, 0, 0, 0]])


def test_likely_positives_above_the_anchors_own_positive() -> None:
    # Row 0: only 10 degrees is nearer than the positive at 20. Row 1: the positive, 10, is the nearest.
    f = matrix(far.except_likely_positives(vectors(DEGREES_A), vectors(DEGREES_B)))
    assert close(f, [[0, 0, 0, -inf], [0, 0, 0, 0], [0, 0, 0, 0]])
    # A margin of cos 10 - cos 30 and a little leaves out the one at 30 degrees too.
    f = matrix(far.except_likely_positives(vectors(DEGREES_A), vectors(DEGREES_B), margin=0.13))
    assert close(f, [[0, 0, 0, -inf], [0, 0, -inf, 0], [0, 0, 0, 0]])


def test_candidates_without_a_reference_vector_stay() -> None:
    judged = far.except_likely_positives(vectors(DEGREES_A), vectors(DEGREES_B[:3]), -2.0, unjudged=1)
    assert close(matrix(judged), [[0, -inf, -inf, 0], [-inf, 0, -inf, 0], [-inf, -inf, 0, 0]])
    turned = judged.transposed()
    x = S.T.clone()
    turned.bind(4, 3, S).add_to(x[2:], slice(2, 4), near.paired().transposed().bind(4, 3, S).at(slice(2, 4)), 1.0)
    assert close(x[2:] - S.T[2:], [[-inf, -inf, 0], [0, 0, 0]])


def test_several_positives_set_their_weighted_mean_as_threshold() -> None:
    # Row 0: positives at 20 and 120 degrees, weights 3 and 1: the threshold is (3 cos 20 + cos 120) / 4 = cos 54.6.
    p = torch.tensor([[3.0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0]])
    f = matrix(far.except_likely_positives(vectors(DEGREES_A), vectors(DEGREES_B)), near.weights(p))
    # The positive at 20 degrees is above, and stays; a row without positives leaves nothing out.
    assert close(f, [[0, 0, 0, -inf], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_harder_weighs_negatives_only() -> None:
    f = matrix(far.harder(2.0))
    assert close(f, [[0, 0.4, -0.8, 0.2], [0.6, 0, 1.0, -1.2], [0.0, -0.4, 0, 0.8]])


def test_builders_add_up_in_any_order() -> None:
    mask = torch.zeros(3, 4, dtype=torch.bool)
    mask[0, 3] = True
    terms = [far.harder(1.0), far.masked(mask), far.weighted(torch.full((3, 4), 2.0)), far.harder(1.0)]
    expected = matrix(far.harder(2.0)) + log(2)
    expected[0, 3] = -inf
    for order in (terms, terms[::-1], [terms[1], terms[0], terms[3], terms[2]]):
        total = order[0] + order[1] + order[2] + order[3]
        torch.testing.assert_close(matrix(total), expected)


def test_hardest_keeps_a_fraction_of_the_negatives_and_the_positives() -> None:
    # Negatives by similarity: row 0: .2, .1, -.4; row 1: .5, .3, -.6; row 2: .4, 0, -.2. round(.5 * 3) = 2 stay.
    assert close(matrix(far.hardest(0.5)), [[0, 0, -inf, 0], [0, 0, 0, -inf], [0, -inf, 0, 0]])
    # The easy positive of row 0 stays, and is not counted: of two negatives left, one.
    p = torch.tensor([[0, 0, 1.0, 0.5], [0, 0, 0, 0], [1, 1, 1, 1]])
    f = matrix(far.hardest(0.5), near.weights(p))
    assert close(f, [[0, -inf, 0, 0], [-inf, 0, 0, -inf], [0, 0, 0, 0]])


def test_hardest_keeps_all_or_at_least_one() -> None:
    assert close(matrix(far.hardest(1)), [[0.0] * 4] * 3)
    assert close(matrix(far.hardest(0.01)), [[0, 0, -inf, -inf], [-inf, 0, 0, -inf], [-inf, -inf, 0, 0]])


def test_hardest_keeps_ties_and_permutes_with_the_candidates() -> None:
    s = torch.tensor([[0.9, 0.5, 0.1, 0.5, 0.7]], dtype=torch.float64)
    bound, pull = far.hardest(0.5).bind(1, 5, s), near.paired().bind(1, 5, s).at(slice(0, 1))
    x = s.clone()
    bound.add_to(x, slice(0, 1), pull, 1.0)
    assert x.tolist() == [[0.9, 0.5, -inf, 0.5, 0.7]]
    order = [0, 3, 4, 2, 1]
    x = s[:, order].clone()
    bound.add_to(x, slice(0, 1), pull, 1.0)
    assert x.tolist() == [[0.9, 0.5, 0.7, -inf, 0.5]]


def test_hardest_chooses_by_similarity_among_what_the_others_leave() -> None:
    mask = torch.zeros(3, 4, dtype=torch.bool)
    mask[0, 1] = True
    w = torch.ones(3, 4)
    w[0, 2], w[1, 0], w[2, 3] = 100, 0, 0.01
    # Row 0: .1 and -.4 are left, and .1 is the harder whatever the other weighs. Row 1: .5 and -.6. Row 2: .4, 0, -.2.
    terms = [far.masked(mask), far.weighted(w), far.hardest(0.6), far.harder(-3.0), far.hardest(0.8)]
    expected = matrix(far.masked(mask) + far.weighted(w) + far.harder(-3.0))
    expected[0, 2] = expected[1, 3] = expected[2, 1] = -inf
    for order in (terms, terms[::-1]):
        total = order[0] + order[1] + order[2] + order[3] + order[4]
        torch.testing.assert_close(matrix(total), expected)
        assert not total.mirrors
    assert close(matrix(far.hardest(0.5) + far.hardest(0.01)), matrix(far.hardest(0.01)).tolist())


def test_hardest_leaves_the_denominator_to_hard_negatives() -> None:
    # Negatives of row 1 alone: .5 and .3 of .5, .3, -.6.
    got = contrast(
        S, torch.eye(4).double(), far=far.except_self() + far.hardest(0.5), similarity="dot", temperature=0.5,
        reduction="none",
    )  # fmt: skip
    assert float(got[1]) == pytest.approx(log(exp(1.0) + exp(0.6)) - 1.6, rel=1e-12)


def test_cancelling_hardness_leaves_nothing() -> None:
    assert close(matrix(far.harder(1.0) + far.harder(-1.0)), [[0.0] * 4] * 3)


def test_adding_something_else() -> None:
    with pytest.raises(TypeError):
        far.except_self() + 1  # type: ignore[operator]


def test_the_positive_leaves_the_denominator_only() -> None:
    # Decoupled contrastive learning: negatives alone in the denominator.
    got = contrast(S, torch.eye(4).double(), far=far.except_self(), similarity="dot", temperature=0.5, reduction="none")
    for i, row in enumerate(S.tolist()):
        rest = log(sum(exp(s / 0.5) for j, s in enumerate(row) if j != i))
        assert float(got[i]) == pytest.approx(rest - row[i] / 0.5, rel=1e-12)


@pytest.mark.parametrize("threshold", ["positive", 0.3])
def test_gistembed(threshold) -> None:
    g = torch.Generator().manual_seed(4)
    a, b, guide_a, guide_b = (torch.randn(6, 5, generator=g, dtype=torch.float64) for _ in range(4))
    unit = torch.nn.functional.normalize
    scores, guide = unit(a, dim=1) @ unit(b, dim=1).T, unit(guide_a, dim=1) @ unit(guide_b, dim=1).T
    limit = guide.diagonal()[:, None] if threshold == "positive" else threshold
    mask = guide > limit
    mask.fill_diagonal_(False)
    assert 0 < mask.sum() < 30
    expected = torch.nn.functional.cross_entropy(scores.masked_fill(mask, -inf) / 0.05, torch.arange(6))
    got = contrast(a, b, far=far.except_likely_positives(guide_a, guide_b, threshold))
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: far.except_same_label(torch.zeros(3), torch.zeros(4, dtype=torch.long)), "vector of integers"),
        (lambda: far.masked(torch.zeros(2, 2)), r"far.masked.*torch.float32 of shape \(2, 2\)"),
        (lambda: far.masked(torch.zeros(2, dtype=torch.bool)), r"of shape \(2,\)"),
        (lambda: far.weighted(torch.tensor([[-1.0]])), "w of far.weighted"),
        (lambda: far.weighted(torch.tensor([[float("nan")]])), "w of far.weighted"),
        (lambda: far.weighted(torch.tensor([[inf]])), "w of far.weighted"),
        (lambda: far.weighted(torch.ones(2, 2, 2)), r"got shape \(2, 2, 2\)"),
        (lambda: far.hardest(0), "alpha of .*got 0"),
        (lambda: far.hardest(1.5), "got 1.5"),
        (lambda: far.by_distance(S, S[:, :2], 1.0), r"got \(3, 4\) and \(3, 2\)"),
        (lambda: far.by_distance(S, S, 0.0), "temperature of .*got 0.0"),
        (lambda: far.by_distance(S, S * inf, 1.0), "vector contains NaN"),
        (lambda: far.hardest(float("nan")), "got nan"),
        (lambda: far.except_likely_positives(S, S[:, :2]), r"got \(3, 4\) and \(3, 2\)"),
        (lambda: far.except_likely_positives(S, S, "negative"), "threshold: .*'negative'"),  # type: ignore[arg-type]
        (lambda: far.except_likely_positives(S, S * float("nan")), "vector contains NaN"),
    ],
)
def test_a_builder_refuses(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (far.masked(torch.zeros(4, 3, dtype=torch.bool)), r"far.masked\(\): .*\(3, 4\), got \(4, 3\)"),
        (far.weighted(torch.ones(3)), "4 weights, .*got 3"),
        (far.by_distance(S, S, 1.0), "3 and 3 vectors for 3 anchors and 4 candidates"),
        (far.weighted(torch.ones(3, 3)), r"far.weighted\(\): .*\(3, 4\), got \(3, 3\)"),
        (far.except_likely_positives(S, S), "3 and 3 vectors for 3 anchors and 4 candidates"),
        (far.except_self, "far: expected"),
    ],
)
def test_a_builder_that_does_not_fit_the_batch(builder, message: str) -> None:
    for engine in ("dense", "streaming"):
        with pytest.raises(ValueError, match=message):
            contrast(torch.randn(3, 2), torch.randn(4, 2), far=builder, engine=engine)  # type: ignore[arg-type]


def test_except_self_needs_a_self_for_every_anchor() -> None:
    with pytest.raises(ValueError, match="4 anchors and 3 candidates"):
        contrast(torch.randn(4, 2), torch.randn(3, 2), near.weights(torch.ones(4, 3)), far.except_self())


@pytest.mark.parametrize("engine", ["dense", "streaming"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_nothing_left_in_a_denominator(engine: str, symmetric: bool) -> None:
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[:, 1] = symmetric  # a column; otherwise a row
    if not symmetric:
        mask[1] = True
    with pytest.raises(ValueError, match="far removes every candidate of an anchor"):
        contrast(torch.randn(3, 2), torch.randn(3, 2), far=far.masked(mask), symmetric=symmetric, engine=engine)  # type: ignore[arg-type]
