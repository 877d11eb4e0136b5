"""Builders of P: the matrix each one means, and the operations engines use, against that matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nearfar import contrast, near
from nearfar.near import Near

LIKE = torch.empty(0, dtype=torch.float64)
A, B = torch.tensor([0, 1, 1, 5]), torch.tensor([1, 0, 1, 2, 0, 0])
G = torch.Generator().manual_seed(0)
U, V = torch.randn(4, 3, generator=G), torch.randn(6, 3, generator=G)
BUILDERS = {
    "paired": near.paired(),
    "same_label": near.same_label(A, B),
    "by_similarity": near.by_similarity(U, V, "relu"),
    "by_softmax": near.by_softmax(U, V, 0.3),
    "weights": near.weights(torch.rand(4, 6, generator=G).round(decimals=0) * 0.7),
}


def matrix(builder: Near, n: int, m: int) -> Tensor:
    return builder.bind(n, m, LIKE).at(slice(0, n)).dense()


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
    p = near.by_similarity(u, -u).bind(50, 50, torch.empty(0)).at(slice(0, 50)).dense()
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
    g = torch.Generator().manual_seed(2)
    for start, stop in ((0, n), (0, 2), (2, n), (n - 1, n)):
        pull, p = bound.at(slice(start, stop)), whole[start:stop]
        b = stop - start
        x, y, z = (torch.randn(*size, generator=g, dtype=torch.float64) for size in ((b, m), (m, 3), (b, 3)))
        scale, totals = torch.rand(b, generator=g, dtype=torch.float64), torch.rand(m, generator=g, dtype=torch.float64)

        torch.testing.assert_close(pull.dense(), p)
        torch.testing.assert_close(pull.total(), p.sum(1))
        torch.testing.assert_close(pull.along(x), (p * x).sum(1))
        torch.testing.assert_close(pull.mix(y), p @ y)
        got = x.clone()
        pull.subtract_from(got, scale)
        torch.testing.assert_close(got, x - scale[:, None] * p)
        got = y.clone()
        pull.spread(z, got)
        torch.testing.assert_close(got, y - p.T @ z)
        got = totals.clone()
        pull.add_totals_to(got)
        torch.testing.assert_close(got, totals + p.sum(0))
        mask = torch.ones(b, m, dtype=torch.bool)
        pull.spare(mask)
        assert torch.equal(mask, p == 0)


@pytest.mark.parametrize("name", BUILDERS)
def test_over_columns_is_the_opposite_direction_laid_out_alike(name: str) -> None:
    bound = BUILDERS[name].bind(4, 6, LIKE)
    theirs = bound.over_columns()
    assert theirs is not None
    expected = matrix(BUILDERS[name].transposed(), 6, 4).T
    torch.testing.assert_close(theirs.at(slice(0, 4)).dense(), expected)
    torch.testing.assert_close(theirs.at(slice(1, 3)).dense(), expected[1:3])


class ByRank(Near):
    """A builder as a user would write it: the three methods that `Near` asks for, normalised over its own rows."""

    def __init__(self, p: Tensor) -> None:
        self.p = p

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        return ByRank(self.p.to(like.dtype))

    def at(self, rows: slice) -> near.Pull:
        return near.Weighted((self.p / self.p.sum(1, keepdim=True))[rows])

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
            "a: labels must be a vector of integers, got torch.float32",
        ),
        (lambda: near.same_label(A, torch.zeros(2, 2, dtype=torch.long)), r"b: labels must be a vector.*\(2, 2\)"),
        (lambda: near.weights(torch.tensor([[-0.1]])), "finite and >= 0"),
        (lambda: near.weights(torch.tensor([[float("nan")]])), "finite and >= 0"),
        (lambda: near.weights(torch.tensor([[float("inf")]])), "finite and >= 0"),
        (lambda: near.weights(torch.ones(3)), r"must be a matrix \(n, m\), got shape \(3,\)"),
        (lambda: near.by_similarity(U, V, "softmax"), r"weigh='softmax' is not known; use one of \['half', 'relu'\]"),  # type: ignore[arg-type]
        (lambda: near.by_similarity(U, V[:, :2]), r"\(n, k\) and \(m, k\), got \(4, 3\) and \(6, 2\)"),
        (lambda: near.by_softmax(U, V, 0), r"temperature of near.by_softmax\(\) must be > 0, got 0"),
        (lambda: near.by_softmax(U, V[:, :2], 1), r"\(n, k\) and \(m, k\), got \(4, 3\) and \(6, 2\)"),
        (lambda: near.by_similarity(U[0], V), r"got \(3,\) and \(6, 3\)"),
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
        (near.weights(torch.ones(5, 2)), r"shape \(5, 2\), but P must be \(2, 5\)"),
        (near.by_similarity(U[:2], V[:5], lambda c: c - 2), "weigh\\(\\) returned a negative or NaN weight"),
        (near.by_similarity(U[:2] * float("nan"), V[:5]), "negative or NaN weight"),
        (near.paired, "near takes what a builder of nearfar.near returns, such as near.paired()"),
    ],
)
def test_a_builder_that_does_not_fit_the_batch(builder, message: str) -> None:
    for engine in ("dense", "streaming"):
        with pytest.raises(ValueError, match=message):
            contrast(torch.randn(2, 3), torch.randn(5, 3), builder, engine=engine)  # type: ignore[arg-type]


def test_paired_with_too_few_candidates() -> None:
    with pytest.raises(ValueError, match="3 anchors, but only 2 candidates; pass at least as many"):
        contrast(torch.randn(3, 2), torch.randn(2, 2))
