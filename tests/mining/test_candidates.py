"""Candidates for positives and negatives: disjoint, in order, never the sentence itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nearfar.errors import InputError
from nearfar.mining import draw, jaccard, mine, negative_log_weights


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_candidates_are_disjoint_and_never_the_sentence(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts, vectors.requires_grad_(), jaccard(texts), 3, 5, 4, generator())
    assert not near.semantic.requires_grad
    for i, text in enumerate(texts):
        same = {j for j, other in enumerate(texts) if other.lower().split() == text.lower().split()}
        there = far.semantic[i] > -torch.inf
        negatives = set(far.rows[i][there].tolist())
        positives = near.rows[i].tolist()
        assert positives[0] in same
        assert not same & {*positives[1:], *negatives}
        assert not {texts[j].lower() for j in positives} & {texts[j].lower() for j in negatives}
        assert len(negatives) >= 5
    cosine = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[far.rows.long()], dim=2)
    there = far.semantic > -torch.inf
    torch.testing.assert_close(far.semantic[there], cosine[there].detach())
    shared = jaccard(texts)(np.arange(len(texts)), far.rows.numpy())
    assert far.surface.numpy() == pytest.approx(shared)


def test_nearest_candidates_are_the_positives(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts, vectors, jaccard(texts), 3, 8, 0)
    assert near.rows.shape == (15, 4)
    assert far.rows.shape == (15, 8)
    assert (near.semantic[:, 1:].min(1).values >= far.semantic.max(1).values).all()


def test_random_negatives_alone_can_be_drawn(corpus) -> None:
    texts, vectors = corpus
    _, far = mine(texts, vectors, jaccard(texts), 3, 0, 30, generator())
    drawn = draw(negative_log_weights(far.semantic, far.surface, t_fn=1.0), 1, generator())
    assert (drawn >= 0).all()


def test_tiny_corpora(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts[:2], vectors[:2], jaccard(texts[:2]))
    assert near.rows.tolist() == [[0], [1]]
    assert far.rows[:, 0].tolist() == [1, 0]
    with pytest.raises(InputError, match=r"^text: "):
        mine(["a b"] * 3, vectors[:3], jaccard(["a b"] * 3))
