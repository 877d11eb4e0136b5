"""From weighted candidates to rows."""

from __future__ import annotations

import pytest
import torch

from nearfar.errors import InputError
from nearfar.mining import (
    drawn_pairs,
    drawn_rows,
    jaccard,
    mine,
    negative_log_weights,
    positive_log_weights,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_similar_is_drawn_as_negative_and_the_same_seed_draws_the_same(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts, vectors, jaccard(texts), 3, 8, 4, generator())
    towards = positive_log_weights(near.semantic, near.surface)
    away = negative_log_weights(far.semantic, far.surface, t_fn=0.3)
    assert (far.semantic >= 0.3).any(), "nothing would be cut, so the test would show nothing"
    unit = torch.nn.functional.normalize(vectors)
    draws = [
        torch.cat([drawn_rows(near.rows, towards, far.rows, away, 2, g) for _ in range(3500)])
        for g in map(generator, (7, 7, 8))
    ]
    anchors, _, *negatives = draws[0].long().T
    assert len(anchors) * 2 > 10**5
    for negative in negatives:
        assert ((unit[anchors] * unit[negative]).sum(1) < 0.3 + 1e-6).all()
        assert all(
            texts[i].lower().split() != texts[j].lower().split()
            for i, j in {*zip(anchors.tolist(), negative.tolist(), strict=True)}
        )
    assert (negatives[0] != negatives[1]).all()
    assert draws[0].tolist() == draws[1].tolist() != draws[2].tolist()


def test_pairs_as_rows(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts, vectors, jaccard(texts), 3, 8, 4, generator())
    towards, away = torch.zeros(near.rows.shape), torch.zeros(far.rows.shape)
    assert drawn_pairs(texts, near, towards, far, away).column_names == ["anchor", "positive", "negative"]
    away[3] = -torch.inf
    rows = drawn_pairs(texts, near, towards, far, away, negatives=2, draws=3)
    assert rows.column_names == ["anchor", "positive", "negative_1", "negative_2"]
    assert list(rows["anchor"]) == [text for i, text in enumerate(texts) if i != 3] * 3
    with pytest.raises(InputError, match=r"^text: .*\(1\).*t_fn"):
        drawn_pairs(texts, near, towards, far, torch.full_like(away, -torch.inf))
