"""Hard negatives of written questions: those of a full search, and never of the question's document."""

from __future__ import annotations

import random

import pytest
import torch
from datasets import Dataset

from nearfar.generation.question_negatives import MARGIN, Nearest, numbers_of_documents
from nearfar.generation.round_trip import ranks
from nearfar.mining import HardNegatives
from nearfar.mining.hard_negatives import select
from nearfar.models.encoding import encode

TEXTS = [f"the {colour} {animal} sits on grass" for colour in ("red", "blue") for animal in ("cat", "dog", "fish")]
# The last rows repeat the first two: what is row 0 is a passage of the documents a and c, too.
CORPUS = Dataset.from_dict({"text": [*TEXTS, TEXTS[1], TEXTS[0]], "document": ["a", "a", "b", "b", "c", "d", "d", "c"]})
NUMBERS = torch.tensor([0, 1, 2, 3, 4, 5, 1, 0])
OF_DOCUMENT = {"a": {0, 1}, "b": {2, 3}, "c": {4, 0}, "d": {5, 1}}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_they_are_those_of_a_full_search_in_the_other_documents(tiny_model, monkeypatch, batch_size) -> None:
    monkeypatch.setattr("nearfar.models.encoding_windows._BATCHES_A_WINDOW", 1)
    monkeypatch.setattr("nearfar.generation.round_trip._BLOCK", 4)
    questions, own = ["red sky", "loud guitar music", "blue sea fish", "bank loan"], [0, 2, 4, 5]
    documents = numbers_of_documents(CORPUS)
    assert documents.tolist() == [0, 0, 1, 1, 2, 3, 3, 2]
    nearest = Nearest(2, own, NUMBERS, documents)
    ranks(questions, own, CORPUS, NUMBERS, tiny_model, batch_size=batch_size, nearest=nearest)

    similarity = torch.from_numpy(encode(tiny_model, questions) @ encode(tiny_model, TEXTS).T)
    positive = similarity[torch.arange(4), torch.tensor(own)].clone()
    for row, place in enumerate(own):
        similarity[row, sorted(OF_DOCUMENT[CORPUS[place]["document"]])] = -torch.inf
    how = HardNegatives(2, relative_margin=MARGIN)
    expected = select(similarity, positive, how, how.depth(1), random.Random(0)).negatives
    assert nearest.negatives() == [[number for number in row if number >= 0] for row in expected.tolist()]
    assert any(nearest.negatives())


def test_what_is_nearly_as_near_as_the_passage_is_no_negative() -> None:
    nearest = Nearest(2, [0], torch.arange(6), torch.arange(6))
    for first, cosines in ((0, [0.8, 0.9, 0.77]), (3, [0.75, 0.1, 0.7])):  # 0.8 is the passage, 0.76 the limit
        nearest.add(slice(0, 1), torch.tensor([cosines]), torch.tensor([[0.8]]), first)
    assert nearest.negatives() == [[3, 5]]


def test_a_corpus_of_one_document_has_none() -> None:
    nearest = Nearest(1, [0], torch.arange(2), torch.zeros(2, dtype=torch.int64))
    nearest.add(slice(0, 1), torch.tensor([[0.8, 0.2]]), torch.tensor([[0.8]]), 0)
    assert nearest.negatives() == [[]]
