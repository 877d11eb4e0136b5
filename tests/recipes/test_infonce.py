"""InfoNCE: in-batch negatives for pairs, labels for labelled texts."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.recipes.infonce import Options, prepare

PAIRS = Dataset.from_dict({"anchor": ["the cat", "a dog", "red"], "positive": ["a cat", "the dog runs", "blue"]})
LABELLED = Dataset.from_dict({"text": ["the cat", "a dog", "red", "blue"], "label": ["x", "x", "y", "y"]})


def loss_of(plan, *columns: list[str], labels=None) -> torch.Tensor:
    model, (stage,) = plan.model, plan.stages
    return stage.loss([model.preprocess(texts) for texts in columns], labels)


@pytest.mark.parametrize("symmetric", [False, True])
def test_pairs_are_classified_among_the_batch(symmetric: bool, tiny_model) -> None:
    tiny_model.eval()
    plan = prepare(tiny_model, PAIRS, Options(symmetric=symmetric, temperature=0.1))
    a, p = (
        torch.from_numpy(tiny_model.encode(PAIRS[name][:], normalize_embeddings=True)) for name in PAIRS.column_names
    )
    s, own = a @ p.T / 0.1, torch.arange(3)
    expected = torch.nn.functional.cross_entropy(s, own)
    if symmetric:
        expected = (expected + torch.nn.functional.cross_entropy(s.T, own)) / 2
    torch.testing.assert_close(loss_of(plan, *(PAIRS[name][:] for name in PAIRS.column_names)), expected)


def test_labelled_texts_are_drawn_by_label_and_have_one_side(tiny_model) -> None:
    (stage,) = prepare(tiny_model, LABELLED, Options()).stages
    assert (stage.batches, stage.rows["label"][:]) == ("group_by_label", [0, 0, 1, 1])
    with pytest.raises(InputError, match=r"^symmetric: "):
        prepare(tiny_model, LABELLED, Options(symmetric=True))
