"""Ranks of passages among the different passages of a corpus."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset

from nearfar.generation.round_trip import ranks
from nearfar.models.encoding import encode

TEXTS = [f"the {colour} {animal} sits on grass" for colour in ("red", "blue") for animal in ("cat", "dog", "fish")]


@pytest.mark.parametrize("batch_size", [1, 64])
def test_ranks_are_those_of_a_full_search(tiny_model, monkeypatch, batch_size) -> None:
    """Rows 6 to 8 repeat earlier ones, which counts once; one window is a batch, so that windows are crossed."""
    monkeypatch.setattr("nearfar.models.encoding_windows._BATCHES_A_WINDOW", 1)
    corpus = Dataset.from_dict({"text": [*TEXTS, TEXTS[1].upper(), TEXTS[0], TEXTS[1]]})
    numbers = torch.tensor([*range(6), 1, 0, 1])
    questions = ["red sky", "loud guitar music", "blue sea fish", "bank loan"]
    own = [0, 1, 5, 3]
    found = ranks(questions, own, corpus, numbers, tiny_model, batch_size=batch_size)
    similarity = encode(tiny_model, questions) @ encode(tiny_model, TEXTS).T
    assert found == [int((row > row[place]).sum()) + 1 for row, place in zip(similarity, own, strict=True)]


def test_a_passage_is_no_rival_of_its_copy(tiny_model) -> None:
    corpus = Dataset.from_dict({"text": [TEXTS[0]] * 5})
    assert ranks(["money"], [3], corpus, torch.zeros(5, dtype=torch.int64), tiny_model) == [1]


def test_the_corpus_is_never_in_memory_as_vectors(tiny_model, monkeypatch) -> None:
    """Every window is encoded once, and the passages of the questions once more."""
    encoded: list[int] = []
    original = tiny_model.encode_document

    def counted(texts, **how):
        encoded.append(len(texts))
        return original(texts, **how)

    monkeypatch.setattr(tiny_model, "encode_document", counted)
    monkeypatch.setattr("nearfar.models.encoding_windows._BATCHES_A_WINDOW", 2)
    corpus = Dataset.from_dict({"text": [f"the cat {n}" for n in range(20)]})
    ranks(["cat"], [0], corpus, torch.arange(20), tiny_model, batch_size=4)
    assert sorted(encoded) == [1, 4, 8, 8]
    assert np.sum(encoded) == 21
