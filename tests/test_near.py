"""Builders of P: the matrix that each one describes, and the operations of its blocks against that matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nearfar import contrast, far, near
from nearfar.blocks import DenseTargets, Near, Targets

LIKE = torch.empty(0, dtype=torch.float64)
A, B = torch.tensor([0, 1, 1, 5]), torch.tensor([1, 0, 1, 2, 0, 0])
G = torch.Generator().manual_seed(0)
U, V = torch.randn(4, 3, generator=G), torch.randn(6, 3, generator=G)
SETS_A = torch.tensor([[[0, 1], [7, -1]], [[1, -1], [8, 9]], [[-1, -1], [-1, -1]], [[0, 2], [-5, -1]]])
SETS_B = torch.tensor([[[1], [7]], [[0], [-1]], [[-1], [-1]], [[2], [9]], [[3], [-1]], [[1], [8]]])
SMOOTHED = type(near.smoothed(near.paired(), 0.1))
BUILDERS = {
    "paired": near.paired(),
    "same_label": near.same_label(A, B),
    "by_similarity": near.by_similarity(U, V, "relu"),
    "by_softmax": near.by_softmax(U, V, 0.3),
    "by_overlap": near.by_overlap(SETS_A, SETS_B, torch.tensor([0, 1, 2, -1]), torch.tensor([2, 9, 0, -1, 4, 5])),
    "weights": near.weights(torch.rand(4, 6, generator=G).round(decimals=0) * 0.7),
    "smoothed paired": near.smoothed(near.paired(), 0.2),
    "smoothed same_label": near.smoothed(near.same_label(A, B), 0.3),
    "smoothed twice": near.smoothed(near.smoothed(near.weights(torch.rand(4, 6, generator=G)), 0.3), 0.1),
}


def matrix(builder: Near, n: int, m: int) -> Tensor:
    return builder.bind(n, m, LIKE).at(slice(0, n)).to_dense()


def check_operations(targets: Targets, p: Tensor, positive: Tensor | None = None) -> None:
    """Every operation on a block of P against the same on the matrix."""
    (b, m), g = p.shape, torch.Generator().manual_seed(2)
    positive = p > 0 if positive is None else positive
    x, y, z = (torch.randn(*size, generator=g, dtype=torch.float64) for size in ((b, m), (m, 3), (b, 3)))
    scale = torch.rand(b, generator=g, dtype=torch.float64)

    torch.testing.assert_close(targets.to_dense(), p)
    torch.testing.assert_close(targets.row_sums(), p.sum(1))
    torch.testing.assert_close(targets.column_sums(), p.sum(0))
    torch.testing.assert_close(targets.weighted_row_sums(x), (p * x).sum(1))
    torch.testing.assert_close(targets.matmul(y), p @ y)
    got = x.clone()
    targets.subtract_from(got, scale)
    torch.testing.assert_close(got, x - scale[:, None] * p)
    got = y.clone()
    targets.scatter_add(z, got)
    torch.testing.assert_close(got, y + p.T @ z)
    mask = torch.ones(b, m, dtype=torch.bool)
    targets.clear_positives(mask)
    assert torch.equal(mask, ~positive)


def test_paired_is_the_identity_and_what_follows_is_extra() -> None:
    assert matrix(near.paired(), 2, 4).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]


def test_paired_turned_around_leaves_the_extra_candidates_without_a_partner() -> None:
    assert matrix(near.paired().transposed(), 4, 2).tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]


def test_same_label_spreads_evenly() -> None:
    third = pytest.approx(1 / 3)
    assert matrix(near.same_label(A, B), 4, 6).tolist() == [
        [0, third, 0, 0, third, third],
        [0.5, 0, 0.5, 0, 0, 0],
        [0.5, 0, 0.5, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_same_label_of_one_set_leaves_itself_out() -> None:
    assert matrix(near.same_label([7, -3, 7, 7, 2]), 5, 5).tolist() == [
        [0, 0, 0.5, 0.5, 0],
        [0, 0, 0, 0, 0],
        [0.5, 0, 0, 0.5, 0],
        [0.5, 0, 0.5, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_same_label_of_the_opposite_direction_is_normalised_anew() -> None:
    turned = matrix(near.same_label(A, B).transposed(), 6, 4)
    assert turned.tolist() == matrix(near.same_label(B, A), 6, 4).tolist()
    assert turned[0].tolist() == [0, 0.5, 0.5, 0]


def test_by_similarity_half() -> None:
    # Rows at 0 and 53.13 degrees to the first candidate: cosines 1, 0.6 and 0 become 1, 0.8 and 0.5.
    p = matrix(near.by_similarity(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 9.0]])), 1, 3)
    torch.testing.assert_close(p, torch.tensor([[1, 0.8, 0.5]], dtype=torch.float64) / 2.3)


def test_by_similarity_half_of_opposite_vectors_is_zero_not_negative() -> None:
    u = torch.randn(50, 7, generator=torch.Generator().manual_seed(1))
    p = near.by_similarity(u, -u).bind(50, 50, torch.empty(0)).at(slice(0, 50)).to_dense()
    assert (p >= 0).all()
    assert p.diagonal().max() < 1e-6


def test_by_similarity_relu_and_a_function() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0], [-1.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(
        matrix(near.by_similarity(a, b, "relu"), 1, 3), torch.tensor([[0.6, 0, 1]], dtype=torch.float64) / 1.6
    )
    squared = matrix(near.by_similarity(a, b, lambda c: c.square_()), 1, 3)
    torch.testing.assert_close(squared, torch.tensor([[0.36, 1, 1]], dtype=torch.float64) / 2.36)


def test_by_similarity_row_that_is_like_nothing_takes_no_part() -> None:
    a, b = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 2.0], [-1.0, 0.0]])
    assert matrix(near.by_similarity(a, b, "relu"), 2, 2).tolist() == [[0, 0], [1, 0]]


def test_by_softmax_of_cosines() -> None:
    # Cosines 1, 0.6 and 0 at 0.2: exp(5), exp(3), 1.
    p = matrix(
        near.by_softmax(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 9.0]]), 0.2), 1, 3
    )
    torch.testing.assert_close(p, torch.tensor([[148.4131591, 20.0855369, 1]], dtype=torch.float64) / 169.498696)


def test_by_softmax_keeps_the_nearest_alone_when_it_is_cold_and_forgets_all_when_it_is_hot() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0], [-1.0, 0.0]])  # none near: no underflow
    assert matrix(near.by_softmax(a, b, 1e-4), 1, 3).tolist() == [[1, 0, 0]]
    assert matrix(near.by_softmax(a, b, 1e9), 1, 3).tolist() == [pytest.approx([1 / 3] * 3)]


def test_by_overlap_is_the_mean_of_the_views_in_which_one_of_both_has_elements() -> None:
    p = matrix(near.by_overlap(SETS_A, SETS_B), 4, 6)
    # Row 0: {0, 1}, {7} against {1}, {7}; {0}, {}; {}, {}; {2}, {9}; {3}, {}; {1}, {8}
    w = torch.tensor([0.75, 0.25, 0, 0, 0, 0.25])
    torch.testing.assert_close(p[0], (w / w.sum()).double())
    w = torch.tensor([0.5, 0, 0, 0.25, 0, 0.75])
    torch.testing.assert_close(p[1], (w / w.sum()).double())
    assert p[2].tolist() == [0] * 6
    w = torch.tensor([0, 0.5, 0, 0.25, 0, 0])
    torch.testing.assert_close(p[3], (w / w.sum()).double())


def test_by_overlap_of_one_set_leaves_itself_out_and_knows_what_is_the_same_item() -> None:
    empty = torch.full((4, 1, 1), -1)
    assert matrix(near.by_overlap(empty, items_a=torch.tensor([3, 8, 3, 8])), 4, 5).tolist() == [
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
    ]
    assert matrix(near.by_overlap(empty), 4, 4).tolist() == [[0] * 4] * 4
    alike = near.by_overlap(torch.ones(3, 1, 2, dtype=torch.long))
    assert matrix(alike, 3, 4).tolist() == [[0, 0.5, 0.5, 0], [0.5, 0, 0.5, 0], [0.5, 0.5, 0, 0]]
    assert torch.equal(matrix(alike.transposed(), 4, 3)[3], torch.zeros(3, dtype=torch.float64))


def test_weights_are_taken_as_they_are() -> None:
    p = torch.tensor([[2.0, 0.0, 1.5], [0.0, 0.0, 0.0]])
    assert matrix(near.weights(p), 2, 3).tolist() == p.tolist()
    assert matrix(near.weights(p).transposed(), 3, 2).tolist() == p.T.tolist()


def test_no_gradient_reaches_what_a_builder_holds() -> None:
    reference = torch.randn(3, 2, requires_grad=True)
    p = torch.rand(3, 3, requires_grad=True)
    a = torch.randn(3, 2, requires_grad=True)
    for builder in (
        near.by_similarity(reference, reference),
        near.by_softmax(reference, reference, 1),
        near.weights(p),
    ):
        for engine in ("dense", "streaming"):
            contrast(a, a.detach().flip(0), builder, engine=engine).backward()  # type: ignore[arg-type]
    assert a.grad is not None
    assert reference.grad is None
    assert p.grad is None


@pytest.mark.parametrize("turned", [False, True], ids=["as given", "transposed"])
@pytest.mark.parametrize("name", BUILDERS)
def test_every_operation_of_a_block_is_that_of_its_matrix(name: str, turned: bool) -> None:
    builder, (n, m) = (BUILDERS[name].transposed(), (6, 4)) if turned else (BUILDERS[name], (4, 6))
    whole, bound = matrix(builder, n, m), builder.bind(n, m, LIKE)
    for start, stop in ((0, n), (0, 2), (2, n), (n - 1, n)):
        hard = bound.near if isinstance(bound, SMOOTHED) else bound
        hard = hard.near if isinstance(hard, SMOOTHED) else hard
        rows = slice(start, stop)
        check_operations(bound.at(rows), whole[rows], hard.at(rows).to_dense() > 0)


@pytest.mark.parametrize("name", BUILDERS)
def test_over_columns_is_the_opposite_direction_laid_out_alike(name: str) -> None:
    bound = BUILDERS[name].bind(4, 6, LIKE)
    theirs = bound.over_columns()
    assert theirs is not None
    expected = matrix(BUILDERS[name].transposed(), 6, 4).T
    torch.testing.assert_close(theirs.at(slice(0, 4)).to_dense(), expected)
    torch.testing.assert_close(theirs.at(slice(1, 3)).to_dense(), expected[1:3])


def test_smoothing_spreads_a_fraction_of_each_row_over_all_candidates() -> None:
    p = matrix(near.smoothed(near.weights(torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0]])), 0.4), 3, 4)
    assert p[0].tolist() == pytest.approx([1.2 + 0.2, 0.2, 0.2, 0.2])
    assert p[1].tolist() == [0, 0, 0, 0]
    assert p[2].tolist() == pytest.approx([0.2, 0.8, 0.8, 0.2])
    assert matrix(near.smoothed(near.paired(), 0), 2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert matrix(near.smoothed(near.paired(), 1), 2, 4).tolist() == [[0.25] * 4] * 2


def test_smoothing_is_that_of_cross_entropy() -> None:
    a, c = (torch.randn(5, 3, dtype=torch.float64, generator=G) for _ in range(2))
    s = torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(c).T / 0.05
    expected = torch.nn.functional.cross_entropy(s, torch.arange(5), label_smoothing=0.1)
    torch.testing.assert_close(contrast(a, c, near.smoothed(near.paired(), 0.1)), expected)


@pytest.mark.parametrize("far_", [far.harder(1.0), far.except_likely_positives(U, V), far.hardest(0.5)], ids=str)
def test_positives_are_those_before_smoothing(far_: far.Far) -> None:
    # By one in 10^9 the value hardly changes, if no candidate becomes a positive.
    a, c = torch.randn(4, 3, dtype=torch.float64, generator=G), torch.randn(6, 3, dtype=torch.float64, generator=G)
    plain = contrast(a, c, far=far_, temperature=1.0)
    assert abs(float(plain - contrast(a, c, temperature=1.0))) > 1e-3
    torch.testing.assert_close(contrast(a, c, near.smoothed(near.paired(), 1e-9), far_, temperature=1.0), plain)


def test_same_label_of_one_set_takes_what_follows_as_extra_negatives() -> None:
    builder = near.same_label([7, 0, 7])
    p = matrix(builder, 3, 5)
    assert p.tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert torch.equal(matrix(builder.transposed(), 5, 3), p.T)
    over_columns = builder.bind(3, 5, LIKE).over_columns()
    assert over_columns is not None
    assert torch.equal(over_columns.at(slice(0, 3)).to_dense(), p)
    with pytest.raises(ValueError, match="3 anchor labels"):
        matrix(builder, 5, 3)
    with pytest.raises(ValueError, match="3 anchor labels"):
        matrix(builder, 4, 5)
    with pytest.raises(ValueError, match="3 candidate labels"):
        matrix(builder, 2, 2)


FEW, MANY = torch.arange(90) // 2, torch.arange(9) % 2
SYMMETRIC = {
    "paired": (near.paired(), 9),
    "one side, groups": (near.same_label(FEW), 90),
    "one side, matrix": (near.same_label(MANY), 9),
    "both sides, groups": (near.same_label(FEW, FEW), 90),
    "both sides, matrix": (near.same_label(MANY, MANY), 9),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_upper_triangle_of_a_symmetric_builder(name: str) -> None:
    builder, n = SYMMETRIC[name]
    bound, whole = builder.bind(n, n, LIKE), matrix(builder, n, n)
    assert bound.symmetric
    assert torch.equal(whole, whole.T)
    kinds = set()
    for start, stop in ((0, n), (0, 4), (3, 7), (n - 1, n)):
        targets = bound.corner(slice(start, stop))
        kinds.add(type(targets).__name__)
        check_operations(targets, whole[start:stop, start:])
    assert kinds == {"paired": {"DiagonalTargets"}}.get(name, {"SparseTargets" if "groups" in name else "DenseTargets"})


def test_what_is_not_declared_symmetric() -> None:
    others = [BUILDERS[name] for name in BUILDERS if name != "paired"]
    others += [near.same_label(A, A.clone()), near.smoothed(near.paired(), 0.1)]
    assert not any(builder.symmetric for builder in others)
    over_columns = near.same_label(A).bind(4, 4, LIKE).over_columns()
    assert over_columns is not None
    assert not over_columns.symmetric


class ByRank(Near):
    """A builder as a user would write it: the three methods that `Near` requires, normalised over its own rows."""

    def __init__(self, p: Tensor) -> None:
        self.p = p

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        return ByRank(self.p.to(like.dtype))

    def at(self, rows: slice) -> Targets:
        return DenseTargets((self.p / self.p.sum(1, keepdim=True))[rows])

    def transposed(self) -> Near:
        return ByRank(self.p.T)


def test_a_builder_of_ones_own_works_both_ways() -> None:
    p = torch.rand(4, 6, generator=torch.Generator().manual_seed(3))
    a, c = torch.randn(4, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    losses = [float(contrast(a, c, ByRank(p), symmetric=True, engine=e)) for e in ("dense", "streaming")]  # type: ignore[arg-type]
    one = contrast(a, c, near.weights((p / p.sum(1, keepdim=True)).double()))
    other = contrast(c, a, near.weights((p / p.sum(0)).T.double()))
    assert losses == pytest.approx([float(one + other) / 2] * 2, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: near.same_label(torch.tensor([0.0, 1.0])),
            "labels a: must be a vector of integers, got torch.float32",
        ),
        (lambda: near.same_label(A, torch.zeros(2, 2, dtype=torch.long)), r"labels b: .*\(2, 2\)"),
        (lambda: near.weights(torch.tensor([[-0.1]])), "weights: must be finite"),
        (lambda: near.weights(torch.tensor([[float("nan")]])), "weights: must be finite"),
        (lambda: near.weights(torch.tensor([[float("inf")]])), "weights: must be finite"),
        (lambda: near.weights(torch.ones(3)), r"weights: .*\(3,\)"),
        (lambda: near.by_similarity(U, V, "softmax"), "weigh: .*'softmax'"),  # type: ignore[arg-type]
        (lambda: near.by_similarity(U, V[:, :2]), r"\(4, 3\) and \(6, 2\)"),
        (lambda: near.by_softmax(U, V, 0), "temperature of .*got 0"),
        (lambda: near.by_softmax(U, V[:, :2], 1), r"\(4, 3\) and \(6, 2\)"),
        (lambda: near.by_overlap(U, V), r"sets a: .*\(4, 3\)"),
        (lambda: near.by_overlap(SETS_A, SETS_B[:, :1]), "2 and 1"),
        (lambda: near.by_overlap(SETS_A, items_a=A[:2]), r"items_a: .*\(2,\)"),
        (lambda: near.by_overlap(SETS_A, items_b=A), r"items_b: .*\(4,\)"),
        (lambda: near.by_similarity(U[0], V), r"\(3,\) and \(6, 3\)"),
        (lambda: near.smoothed(near.paired(), 1.1), r"epsilon: .*1.1"),
        (lambda: near.smoothed(near.paired(), float("nan")), r"epsilon: .*nan"),
        (lambda: near.smoothed(near.paired, 0.1), "expected a builder"),  # type: ignore[arg-type]
    ],
)
def test_a_builder_refuses(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (near.same_label(A), "4 anchor labels and 4 candidate labels for 2 anchors and 5 candidates"),
        (near.by_similarity(U, V), r"by_similarity\(\) got 4 and 6 reference vectors for 2 anchors and 5 candidates"),
        (near.by_softmax(U, V, 1), r"by_softmax\(\) got 4 and 6 reference vectors for 2 anchors and 5 candidates"),
        (near.by_overlap(SETS_A), "sets for 4 anchors and 4 candidates, for 2 anchors and 5 candidates"),
        (near.weights(torch.ones(5, 2)), r"\(2, 5\), got \(5, 2\)"),
        (near.by_similarity(U[:2], V[:5], lambda c: c - 2), "weigh of near.by_similarity"),
        (near.by_similarity(U[:2] * float("nan"), V[:5]), "weigh of near.by_similarity"),
        (near.paired, "near: expected"),
    ],
)
def test_a_builder_that_does_not_fit_the_batch(builder, message: str) -> None:
    for engine in ("dense", "streaming"):
        with pytest.raises(ValueError, match=message):
            contrast(torch.randn(2, 3), torch.randn(5, 3), builder, engine=engine)  # type: ignore[arg-type]


def test_paired_with_too_few_candidates() -> None:
    with pytest.raises(ValueError, match="3 anchors and 2 candidates"):
        contrast(torch.randn(3, 2), torch.randn(2, 2))
