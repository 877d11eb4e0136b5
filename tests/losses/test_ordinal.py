"""Losses of similarities and graded labels, with worked numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from graded_cases import S, Y, close, vector
from torch import Tensor

from nearfar.losses import ordinal


def test_worked_numbers() -> None:
    close(ordinal.relative_ranks(Y), [1, 0, 0.5, 0.5])
    close(ordinal.pearson(S, Y), 0.1567489)
    close(ordinal.rank_kl(S, Y), 0.000562352, 1e-9)
    close(ordinal.rank_kl(S, Y, reduction="sum"), 0.002249408, 1e-9)
    close(ordinal.preference_ranking(S, Y), 0.01387153, 1e-8)
    close(ordinal.rank_kl(S, Y, 0.5), 0.00576587, 1e-8)
    close(ordinal.preference_ranking(S, Y, 0.5), 0.4901990, 1e-7)


def test_rank_kl_is_the_divergence() -> None:
    target, found = (ordinal.relative_ranks(Y) / 0.5).softmax(0), (S / 0.5).softmax(0)
    close(target, [0.5344, 0.0723, 0.1966, 0.1966], 5e-5)
    close(ordinal.rank_kl(S, Y, 0.5, "sum"), (target * (target / found).log()).sum(), 1e-12)


def test_preference_ranking_equals_its_loop() -> None:
    s, y = torch.rand(9, dtype=torch.float64), torch.randint(0, 4, (9,)).double() / 3
    losses = []
    for k in range(9):
        lower = [j for j in range(9) if y[k] > y[j]]
        if lower:
            pull = max(y[k] - y[j] for j in lower) * s[k] / 0.3
            scores = torch.stack([pull, *((y[k] - y[j]) * s[j] / 0.3 for j in lower)])
            losses.append(scores.logsumexp(0) - pull)
    close(ordinal.preference_ranking(s, y, 0.3), torch.stack(losses).mean(), 1e-12)


def test_preference_ranking_of_binary_labels_is_infonce_against_the_zeros() -> None:
    y = vector(1, 1, 0, 0)
    each = [torch.stack([S[k], S[2], S[3]]) / 0.05 for k in (0, 1)]
    close(ordinal.preference_ranking(S, y), sum(x.logsumexp(0) - x[0] for x in each) / 2, 1e-12)
    close(ordinal.preference_ranking(S, y), 4.0105002, 1e-7)


def test_preference_ranking_of_two() -> None:
    close(ordinal.preference_ranking(vector(0.3, 0.5), vector(1, 0.4)), 2.4868362, 1e-7)
    close(F.softplus(torch.tensor((0.5 - 0.3) * 0.6 / 0.05)), 2.4868362)


def test_what_changes_nothing_and_what_does() -> None:
    pro, order = ordinal.preference_ranking, torch.tensor([2, 0, 3, 1])
    close(pro(S, 5 * Y, 0.5), pro(S, Y, 0.1), 1e-12)
    for loss in (ordinal.pearson, ordinal.rank_kl, pro):
        close(loss(S[order], Y[order]), loss(S, Y), 1e-12)
    close(pro(S + 0.05, Y, 0.5), 0.483865)
    close(pro(S - 0.05, Y, 0.5), 0.496927)
    for loss in (ordinal.pearson, ordinal.rank_kl):
        close(loss(S + 0.05, Y), loss(S, Y), 1e-12)
    close(ordinal.pearson(2 * S, Y), ordinal.pearson(S, Y), 1e-12)
    assert abs(ordinal.rank_kl(2 * S, Y) - ordinal.rank_kl(S, Y)) > 1e-4


def test_rank_kl_vanishes_at_the_ranks_and_its_gradient_is_the_difference() -> None:
    close(ordinal.rank_kl(ordinal.relative_ranks(Y), Y), 0, 1e-12)
    s = S.clone().requires_grad_()
    ordinal.rank_kl(s, Y, 0.2).backward()
    close(s.grad, ((S / 0.2).softmax(0) - (ordinal.relative_ranks(Y) / 0.2).softmax(0)) / (4 * 0.2), 1e-12)


def test_gradient_of_pearson() -> None:
    s = S.clone().requires_grad_()
    ordinal.pearson(s, Y).backward()
    assert s.grad is not None
    assert s.grad.abs().max() > 0.1
    close(s.grad.sum(), 0, 1e-12)
    close(s.grad @ (S - S.mean()), 0, 1e-12)


def test_gradient_of_preference_ranking() -> None:
    assert torch.autograd.gradcheck(
        lambda s: ordinal.preference_ranking(s, Y, 0.5), [S.clone().requires_grad_()], atol=1e-6
    )


@pytest.mark.parametrize("s", [S, vector(0.5, 0.5, 0.5, 0.5)])
@pytest.mark.parametrize("y", [vector(0.3, 0.3, 0.3, 0.3), Y])
def test_constants_give_no_nan(s: Tensor, y: Tensor) -> None:
    s = s.clone().requires_grad_()
    losses = [loss(s, y) for loss in (ordinal.pearson, ordinal.rank_kl, ordinal.preference_ranking)]
    sum(losses[1:], losses[0]).backward()
    assert s.grad is not None
    assert torch.isfinite(torch.stack([*losses, s.grad.sum()])).all()
    if float(y.std()) == 0:
        close(torch.stack([losses[0], losses[2]]), [0, 0])
        close(ordinal.rank_kl(vector(1, 1, 1, 1), y), 0, 1e-12)  # a uniform target


def test_alike_in_batch() -> None:
    a = vector(1, 0, 0, 1).reshape(2, 2)
    b = torch.stack([vector(0.9, (1 - 0.81) ** 0.5), vector(0.88, (1 - 0.88**2) ** 0.5)])
    close(ordinal.alike_in_batch(a, b, vector(1, 0.4)), 0.3133, 5e-5)
    none = ordinal.alike_in_batch(a.requires_grad_(), b, vector(0.9, 0.4))
    none.backward()
    assert none == 0
    close(a.grad, torch.zeros(2, 2))


def test_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(4,\) and \(3,\)"):
        ordinal.pearson(S, Y[:3])
    with pytest.raises(ValueError, match="3 labels for 4 pairs"):
        ordinal.alike_in_batch(S[:, None], S[:, None], Y[:3])
