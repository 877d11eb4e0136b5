from __future__ import annotations

from datasets import Dataset

from nearfar.data import Retrieval
from nearfar.data.overlap import seen_in_training

TRAIN = Dataset.from_dict({"anchor": ["a", "b", "c"], "positive": ["x", "x", "y"], "negative": ["n", "n", "n"]})


def test_an_item_counts_when_all_of_its_texts_do():
    pairs = Dataset.from_dict({"anchor": ["a", "new", "c"], "positive": ["x", "x", "new"]})
    assert seen_in_training(TRAIN, pairs) == 1
    swapped = Dataset.from_dict({"sentence1": ["x", "x"], "sentence2": ["a", "new"], "score": [0.0, 1.0]})
    assert seen_in_training(TRAIN, swapped) == 1
    labelled = Dataset.from_dict({"text": ["a", "n", "new"], "label": ["a", "b", "c"]})
    assert seen_in_training(TRAIN, labelled) == 2


def test_queries_count_and_the_corpus_does_not():
    found = Retrieval({"1": "x", "2": "y"}, {"q": "a", "r": "new"}, {"q": {"1": 1}, "r": {"2": 1}})
    assert seen_in_training(TRAIN, found) == 1


def test_rows_without_texts_of_a_known_kind():
    assert seen_in_training(TRAIN, Dataset.from_dict({"other": ["a"]})) == 0
    assert seen_in_training(Dataset.from_dict({"label": [1]}), Dataset.from_dict({"text": ["a"]})) == 0


def test_an_image_is_known_by_its_file() -> None:
    train = Dataset.from_dict({"image": ["a.png", "b.png"], "text": ["cat", "cat"]})
    assert seen_in_training(train, Dataset.from_dict({"image": ["b.png", "c.png"], "text": ["cat", "cat"]})) == 1
