"""Samples follow their weights."""

from __future__ import annotations

import pytest
import torch

from nearfar.mining import draw, negative_log_weights, positive_log_weights, probabilities


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_draws_by_propensity_are_unbiased_once_weighted() -> None:
    """Values 1, 2, 3, 10 seen with chances .5, .3, .15, .05: their plain mean is 4, and the naive one 2.05."""
    values, propensity = (
        torch.tensor([1.0, 2, 3, 10], dtype=torch.float64),
        torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64),
    )
    seen = draw(propensity.log().expand(400_000, -1), generator=generator())[:, 0]
    weight = positive_log_weights(torch.ones(1, 4).double(), propensity, a=0, b=1, clip=0.01).exp()[0, seen] * 0.25
    assert float(values[seen].mean()) == pytest.approx(2.05, abs=0.02)
    assert float((values[seen] * weight).mean()) == pytest.approx(4.0, abs=0.06)
    assert float((values[seen] * weight).sum() / weight.sum()) == pytest.approx(4.0, abs=0.06)


def test_draws_follow_their_probabilities() -> None:
    log_weights = negative_log_weights(
        torch.tensor([[0.9, 0.75, 0.4, 0.4, 0.1]]), torch.tensor([[0.5, 0.9, 0.8, 0.1, 0.0]]), t_fn=0.75
    )
    n, q = 100_000, probabilities(log_weights)[0]
    seen = draw(log_weights.expand(n, -1), generator=generator())[:, 0].bincount(minlength=5) / n
    assert seen[:2].tolist() == [0, 0]
    assert ((seen - q).abs() <= 4 * (q * (1 - q) / n).sqrt()).all()


def test_draws_are_different_and_end_where_candidates_end() -> None:
    log_weights = torch.tensor([[0.0, -torch.inf, 1.0, 2.0], [-torch.inf] * 4, [0.0, 0.0, 0.0, 0.0]])
    found = draw(log_weights, 5, generator())
    assert sorted(found[0].tolist()) == [-1, -1, 0, 2, 3]
    assert found[1].tolist() == [-1] * 5
    assert sorted(found[2].tolist()) == [-1, 0, 1, 2, 3]
    with pytest.raises(ValueError, match="NaN"):
        draw(torch.tensor([[torch.nan]]))
