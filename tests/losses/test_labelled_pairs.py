"""Pairs with labels, hard and soft targets: worked numbers, limits, minimum, gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nearfar import contrast, near
from nearfar.losses import LabelledPairsLoss
from nearfar.models.projection import mlp_head

TAU = 0.05
S = torch.tensor([[0.9, 0.2, 0.1], [0.3, 0.8, 0.0], [0.1, 0.1, 0.7]], dtype=torch.float64)
EYE = torch.eye(3, dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1])


def references(delta: list[list[float]]) -> Tensor:
    """Unit vectors with these cosines."""
    values, vectors = torch.linalg.eigh(torch.tensor(delta, dtype=torch.float64))
    return vectors * values.clamp(min=0).sqrt()


SAME = references([[1, 1, 0.2], [1, 1, 0.2], [0.2, 0.2, 1]])
ALIKE = references([[1, 0.9, 0.2], [0.9, 1, 0.2], [0.2, 0.2, 1]])


def loss(target: near.Near, s: Tensor = S, *, symmetric: bool = True, tau: float = TAU) -> float:
    """Of given cosines: candidates that are unit vectors make the dot products any numbers we like."""
    return float(contrast(s, EYE, target, temperature=tau, similarity="dot", symmetric=symmetric))


def soft(l: Tensor, tau: float) -> near.Near:  # noqa: E741
    return near.by_softmax(l, l, tau)


def matrix(target: near.Near) -> Tensor:
    return target.bind(3, 3, S).at(slice(0, 3)).to_dense()


def test_hard_and_soft_of_the_worked_example() -> None:
    hard = near.same_label(LABELS, LABELS)
    assert loss(hard) == pytest.approx(4.000013158667, abs=1e-11)
    assert loss(soft(SAME, 1e-3)) == pytest.approx(loss(hard), abs=1e-9)
    assert loss(soft(SAME, 0.35)) == pytest.approx(5.010745969057, abs=1e-10)
    assert loss(soft(SAME, 0.35), symmetric=False) == pytest.approx(4.998711896542, abs=1e-10)
    assert matrix(soft(SAME, 0.35))[0].tolist() == pytest.approx([0.475805, 0.475805, 0.048390], abs=1e-6)


def test_both_directions_have_the_same_target_and_not_its_transpose() -> None:
    # P is not symmetric here: rows 0 and 1 share their weight, row 2 does not.
    p = matrix(soft(SAME, 0.35))
    assert (p - p.T).abs().max() > 0.02
    log_rows, log_columns = (S / TAU).log_softmax(1), (S.T / TAU).log_softmax(1)
    same = -((p * log_rows).sum(1).mean() + (p * log_columns).sum(1).mean()) / 2
    transposed = -((p * log_rows).sum(1).mean() + (p.T * log_columns).sum(1).mean()) / 2
    assert loss(soft(SAME, 0.35)) == pytest.approx(float(same), abs=1e-12)
    assert abs(float(same - transposed)) > 1e-3
    for engine in ("dense", "streaming"):
        both = contrast(S, EYE, soft(SAME, 0.35), None, None, TAU, "dot", True, engine=engine)  # type: ignore[arg-type]
        assert float(both) == pytest.approx(float(same), abs=1e-12)


def test_labels_that_all_differ_are_in_batch_negatives() -> None:
    distinct = torch.arange(3)
    assert loss(near.same_label(distinct, distinct)) == pytest.approx(1.3158667e-05, abs=1e-12)
    assert loss(near.paired()) == pytest.approx(1.3158667e-05, abs=1e-12)
    assert loss(soft(ALIKE, 1e-3)) == pytest.approx(1.3158667e-05, abs=1e-12)


def test_hot_targets_are_uniform() -> None:
    log_rows, log_columns = (S / TAU).log_softmax(1), (S.T / TAU).log_softmax(1)
    expected = -(log_rows.mean(1).mean() + log_columns.mean(1).mean()) / 2
    assert loss(soft(SAME, 1e9)) == pytest.approx(float(expected), abs=1e-7)
    assert float(expected) == pytest.approx(8.888902, abs=1e-6)


def test_the_least_loss_is_the_entropy_of_the_targets() -> None:
    p, delta = matrix(soft(ALIKE, 0.35)), ALIKE @ ALIKE.T
    entropy = float(-(p * p.log()).sum(1).mean())
    assert entropy == pytest.approx(0.762630698448, abs=1e-10)
    best = TAU / 0.35 * delta
    for constant in (0.0, 0.4):
        assert loss(soft(ALIKE, 0.35), best + constant) == pytest.approx(entropy, abs=1e-10)
    # A constant of its own for each row leaves the first direction at its minimum, but not the second.
    rows = best + torch.tensor([[0.1], [0.0], [-0.1]], dtype=torch.float64)
    assert loss(soft(ALIKE, 0.35), rows, symmetric=False) == pytest.approx(entropy, abs=1e-10)
    assert loss(soft(ALIKE, 0.35), rows) > entropy + 0.01
    for seed in range(20):
        other = best + 0.1 * torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert loss(soft(ALIKE, 0.35), other) > entropy


def test_gradient_is_the_softmax_less_the_target_and_none_reaches_the_labels() -> None:
    s, labels = S.clone().requires_grad_(), SAME.clone().requires_grad_()
    contrast(s, EYE, soft(labels, 0.35), temperature=TAU, similarity="dot").backward()
    expected = ((S / TAU).softmax(1) - matrix(soft(SAME, 0.35))) / (3 * TAU)
    torch.testing.assert_close(s.grad, expected, atol=1e-12, rtol=0)
    assert labels.grad is None


def test_rows_of_the_target_sum_to_one_with_the_pair_itself_on_top() -> None:
    g = torch.Generator().manual_seed(0)
    labels, z, zp = (torch.randn(12, 5, generator=g, dtype=torch.float64) for _ in range(3))
    p = soft(labels, 0.2).bind(12, 12, z).at(slice(0, 12)).to_dense()
    torch.testing.assert_close(p.sum(1), torch.ones(12, dtype=torch.float64))
    assert torch.equal(p.argmax(1), torch.arange(12))
    order = torch.randperm(12, generator=g)
    one = contrast(z, zp, soft(labels, 0.2), symmetric=True)
    other = contrast(z[order], zp[order], soft(labels[order], 0.2), symmetric=True)
    assert float(one) == pytest.approx(float(other), abs=1e-12)


def module(model: Any, **settings: Any) -> LabelledPairsLoss:
    return LabelledPairsLoss(model, symmetric=True, **settings)


def batch(model: Any) -> list[dict[str, Tensor]]:
    columns = (["the cat sits", "a dog runs", "pay the bill"], ["a cat", "the fish swims", "my bank account"])
    return [model.preprocess(list(column)) for column in columns]


def test_module_takes_targets_from_the_label_column(tiny_model) -> None:
    tiny_model.eval()
    vectors = [tiny_model(features)["sentence_embedding"] for features in batch(tiny_model)]
    bank = torch.stack([SAME[0], SAME[2]]).float()
    ours = module(tiny_model, label_vectors=bank * 7, label_temperature=0.35)(batch(tiny_model), LABELS)
    expected = contrast(*vectors, near.by_softmax(bank[LABELS], bank[LABELS], 0.35), symmetric=True)
    torch.testing.assert_close(ours, expected)
    hard = module(tiny_model)(batch(tiny_model), LABELS)
    torch.testing.assert_close(hard, contrast(*vectors, near.same_label(LABELS, LABELS), symmetric=True))
    assert abs((hard - ours).item()) > 1e-3


def test_head_stands_between_and_is_trained_while_labels_are_not_kept(tiny_model) -> None:
    tiny_model.eval()
    head = mlp_head(32, 8)
    assert [tuple(weight.shape) for weight in head.parameters()] == [(32, 32), (8, 32)]
    found = module(tiny_model, label_vectors=torch.eye(2), head=head)
    value = found(batch(tiny_model), LABELS)
    vectors = [head(tiny_model(features)["sentence_embedding"]) for features in batch(tiny_model)]
    eye = torch.eye(2)[LABELS]
    torch.testing.assert_close(value, contrast(*vectors, near.by_softmax(eye, eye, 0.1), symmetric=True))
    value.backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in head.parameters())
    assert {name for name in found.state_dict() if not name.startswith("model.")} == {
        "training_head.0.weight",
        "training_head.2.weight",
    }
    tiny_model.zero_grad()


def test_what_the_model_card_says(tiny_model) -> None:
    assert module(tiny_model).get_config_dict()["targets"] == "hard"
    told = module(tiny_model, label_vectors=torch.eye(2)).get_config_dict()
    assert (told["targets"], told["label_temperature"]) == ("soft", 0.1)
    assert told["temperature"] == pytest.approx(0.05)


def test_misuse_is_said(tiny_model) -> None:
    with pytest.raises(ValueError, match=r"cached: .*False"):
        module(tiny_model, cached=True)
    with pytest.raises(ValueError, match="requires a 'label' column"):
        module(tiny_model)(batch(tiny_model))
