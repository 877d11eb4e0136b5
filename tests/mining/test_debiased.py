"""From texts and a teacher to pairs."""

from __future__ import annotations

import itertools

import pytest
import torch

from nearfar.errors import InputError
from nearfar.mining import (
    Candidates,
    InversePropensity,
    debiased_pairs,
    jaccard,
    mine,
    mine_with,
    negative_log_weights,
    positive_log_weights,
    probabilities,
)

TEXTS = [
    f"the {colour} {animal} {verb}"
    for colour, animal, verb in itertools.product(("red", "blue"), ("cat", "dog", "fish"), ("sits", "runs", "swims"))
]
HOW = InversePropensity(positives=3, negatives=6, random_negatives=2, t_fn=0.999)


def test_candidates_are_mined_with_the_teachers_vectors(tiny_model) -> None:
    found = mine_with(tiny_model, TEXTS, HOW, seed=5)
    vectors = torch.from_numpy(tiny_model.encode(TEXTS, normalize_embeddings=True))
    expected = mine(TEXTS, vectors, jaccard(TEXTS), 3, 6, 2, torch.Generator().manual_seed(5))
    for mine_, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine_.rows, theirs.rows)
        torch.testing.assert_close(mine_.semantic, theirs.semantic, atol=1e-5, rtol=0)
        assert torch.equal(mine_.surface, theirs.surface)


def test_max_length_truncates_what_the_teacher_reads(tiny_model) -> None:
    same_start = [f"cat cat cat cat {word}" for word in ("dog", "fish", "bird")]
    near, _ = mine_with(tiny_model, same_start, HOW, max_length=5)
    assert near.semantic.min() > 0.9999, "after [CLS], four words and no room for the last"
    near, _ = mine_with(tiny_model, same_start, HOW)
    assert near.semantic.min() < 0.9999


def test_pairs_are_sampled_by_their_weights() -> None:
    """Text 0 has candidates with worked similarities; 4,000 rows show the frequencies."""
    texts = ["zero", "one", "two", "three"]
    near = Candidates(torch.tensor([[1, 2]]), torch.tensor([[0.9, 0.6]]), torch.tensor([[0.8, 0.2]]))
    far = Candidates(torch.tensor([[2, 3]]), torch.tensor([[0.5, 0.8]]), torch.tensor([[0.4, 0.9]]))
    how = InversePropensity(a=2.0, b=0.5, a_negative=1.0, b_negative=2.0, clip=0.1, t_fn=0.9, draws=4_000)
    rows = debiased_pairs(texts, (near, far), how)
    assert set(rows["anchor"]) == {"zero"}
    towards = probabilities(positive_log_weights(near.semantic, near.surface, 2.0, 0.5, 0.1))[0]
    away = probabilities(negative_log_weights(far.semantic, far.surface, 1.0, 2.0, 0.1, 0.9))[0]
    assert rows["positive"][:].count("one") / 4_000 == pytest.approx(float(towards[0]), abs=0.04)
    assert rows["negative"][:].count("three") / 4_000 == pytest.approx(float(away[1]), abs=0.04)
    assert float(towards[0]) == pytest.approx(0.5294, abs=1e-3)  # 0.81 / sqrt(0.8) against 0.36 / sqrt(0.2)


def test_a_seed_decides_and_false_negatives_are_refused(tiny_model) -> None:
    found = mine_with(tiny_model, TEXTS, HOW)
    first, again, other = (debiased_pairs(TEXTS, found, HOW, seed=seed).to_dict() for seed in (1, 1, 2))
    assert first == again != other
    with pytest.raises(InputError, match=r"^text: .*\(1\).*t_fn"):
        debiased_pairs(TEXTS, found, InversePropensity(t_fn=-1.0))
