"""The reference itself, against the formula in loops and against finite differences."""

from __future__ import annotations

import pytest
import torch
from cases import FARS, NEARS, World

from nearfar import contrast, far, near

WORLD = World(n=7, m=9, d=4)
SQUARE = World(n=8, m=8, d=4)


@pytest.mark.parametrize("far_", FARS)
@pytest.mark.parametrize("near_", NEARS)
def test_every_combination_follows_the_formula(near_: str, far_: str) -> None:
    for similarity in ("cosine", "dot"):
        for positives in (False, True):
            got = contrast(
                WORLD.anchors,
                WORLD.candidates,
                WORLD.near(near_),
                WORLD.far(far_),
                WORLD.positives if positives else None,
                temperature=0.7,
                similarity=similarity,  # type: ignore[arg-type]
                reduction="none",
                engine="dense",
            )
            expected = WORLD.loss_by_hand(near_, far_, 0.7, similarity, positives)
            assert got.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("far_", ["self", "self+masked+harder"])
def test_anchors_against_themselves_follow_the_formula(far_: str) -> None:
    world = World(n=8, m=8, d=4, seed=2)
    world.candidates = world.anchors
    got = contrast(
        world.anchors,
        world.anchors,
        world.near("same_label_self"),
        world.far(far_),
        temperature=0.7,
        reduction="none",
        engine="dense",
    )
    assert got.tolist() == pytest.approx(world.loss_by_hand("same_label_self", far_, 0.7), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("near_", NEARS)
def test_mean_is_over_anchors_with_a_positive_and_sum_over_all(near_: str) -> None:
    losses = WORLD.loss_by_hand(near_, "weighted", 0.7)
    active = sum(1 for row in WORLD.p_by_hand(near_) if sum(row))
    assert active < WORLD.n or near_ not in ("weights", "same_label"), "the case must contain a row of zeros"
    for reduction, expected in (("mean", sum(losses) / active), ("sum", sum(losses))):
        got = contrast(
            WORLD.anchors,
            WORLD.candidates,
            WORLD.near(near_),
            WORLD.far("weighted"),
            temperature=0.7,
            reduction=reduction,  # type: ignore[arg-type]
            engine="dense",
        )
        assert float(got) == pytest.approx(expected, rel=1e-12)


def test_symmetric_is_the_mean_of_two_directions_each_over_its_own_anchors() -> None:
    # P of the opposite direction is normalised over the candidates' own rows, not transposed.
    one = contrast(WORLD.anchors, WORLD.candidates, WORLD.near("half"), temperature=0.7, engine="dense")
    other = contrast(
        WORLD.candidates,
        WORLD.anchors,
        near.by_similarity(WORLD.guide_b, WORLD.guide_a),
        temperature=0.7,
        engine="dense",
    )
    both = contrast(
        WORLD.anchors, WORLD.candidates, WORLD.near("half"), temperature=0.7, symmetric=True, engine="dense"
    )
    assert float(both) == pytest.approx(float(one + other) / 2, rel=1e-12)
    assert abs(float(one - other)) > 1e-3


def test_symmetric_rows_are_the_mean_of_both_directions() -> None:
    both = contrast(
        SQUARE.anchors, SQUARE.candidates, symmetric=True, reduction="none", temperature=0.7, engine="dense"
    )
    s = torch.nn.functional.normalize(SQUARE.anchors, dim=1) @ torch.nn.functional.normalize(SQUARE.candidates, dim=1).T
    expected = -(s / 0.7).log_softmax(1).diagonal() / 2 - (s / 0.7).log_softmax(0).diagonal() / 2
    torch.testing.assert_close(both, expected)


def test_an_anchor_without_positive_may_have_an_empty_denominator() -> None:
    p = torch.eye(3, dtype=torch.float64)
    p[1] = 0
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[1] = True
    a = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    for engine in ("dense", "streaming"):
        loss = contrast(a, a.detach().flip(0), near.weights(p), far.masked(mask), engine=engine)  # type: ignore[arg-type]
        assert torch.isfinite(loss)
        (gradient,) = torch.autograd.grad(loss, a)
        assert torch.isfinite(gradient).all()
        assert (gradient[1] == 0).all()
        assert (gradient[0] != 0).any()


@pytest.mark.parametrize(
    ("near_", "far_", "options"),
    [
        ("paired", "none", {}),
        ("same_label", "self", {"symmetric": True}),
        ("half", "weighted", {"reduction": "none"}),
        ("weights", "masked", {"similarity": "dot"}),
    ],
)
def test_second_derivatives(near_: str, far_: str, options: dict) -> None:
    world = World(n=4, m=4, d=2, seed=3)
    a, c = world.anchors.requires_grad_(), world.candidates.requires_grad_()
    t = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)

    def loss(a: torch.Tensor, c: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return contrast(a, c, world.near(near_), world.far(far_), temperature=t, engine="dense", **options)

    assert torch.autograd.gradcheck(loss, (a, c, t))
    assert torch.autograd.gradgradcheck(loss, (a, c, t))
