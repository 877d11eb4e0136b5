"""Mined and random negatives: as many as asked for, none of them a positive, the same for a seed."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.mining import Negatives, drawn_negatives, with_negatives
from nearfar.mining.negatives import complete_rows
from nearfar.models.encoding import encode

ANIMALS = [
    f"the {adjective} {animal} sits" for adjective in ("red", "blue", "green") for animal in ("cat", "dog", "bird")
]
MONEY = [
    f"a {adjective} {thing}" for adjective in ("lost", "stolen", "warm") for thing in ("card", "loan", "bank account")
]


def rows(**columns: list[str]) -> Dataset:
    return Dataset.from_dict({"anchor": ["cat", "cat", "loan"], "positive": [*ANIMALS[:2], MONEY[1]], **columns})


def test_every_row_gets_different_negatives_that_are_no_positives(tiny_model) -> None:
    found = with_negatives(rows(), tiny_model, Negatives(6), ANIMALS + MONEY, seed=3)
    names = [f"negative_{number}" for number in range(1, 7)]
    assert found.column_names == ["anchor", "positive", *names]
    for row in found:
        texts = [row[name] for name in names]
        assert len(set(texts)) == 6
        right = set(ANIMALS[:2]) if row["anchor"] == "cat" else {MONEY[1]}
        assert not right & set(texts)
    again = with_negatives(rows(), tiny_model, Negatives(6), ANIMALS + MONEY, seed=3)
    assert again.to_dict() == found.to_dict()
    assert with_negatives(rows(), tiny_model, Negatives(6), ANIMALS + MONEY, seed=4).to_dict() != found.to_dict()


def test_mined_negatives_are_the_nearest_that_are_less_similar_than_the_positive(tiny_model) -> None:
    how = Negatives(3, random=0, nearest=3, margin=0)
    query, positive = "red cat", "snow today"
    corpus = ANIMALS + MONEY
    (found,) = drawn_negatives([query], [positive], corpus, tiny_model, how)
    vectors = encode(tiny_model, [query, positive, *corpus])
    cosines = vectors[1:] @ vectors[0]
    less = [row for row in np.argsort(-cosines[1:]) if cosines[1:][row] <= cosines[0]]
    expected = {corpus[row] for row in less[:3]}
    assert expected <= set(found)  # random ones fill up where fewer are less similar


def test_a_margin_leaves_out_what_is_nearly_as_similar(tiny_model) -> None:
    corpus = ["the red cat sits on", "a stolen loan", "wind and rain", "a band plays loud"]
    cosine = {
        text: float(encode(tiny_model, [text])[0] @ encode(tiny_model, ["the red cat"])[0])
        for text in (*corpus, "red cat")
    }
    for margin in (0.0, 0.3, 0.9):
        limit = (1 - margin) * cosine["red cat"]
        few = sum(cosine[text] <= limit for text in corpus)
        how = Negatives(2, random=0, nearest=4, margin=margin)
        (found,) = drawn_negatives(["the red cat"], ["red cat"], corpus, tiny_model, how)
        assert sum(cosine[text] <= limit for text in found) >= min(2, few)


def test_own_negatives_stay_first(tiny_model) -> None:
    given = rows(negative=["fish", "fish", "wind"])
    found = with_negatives(given, tiny_model, Negatives(4), ANIMALS + MONEY)
    assert found["negative_1"][:] == ["fish", "fish", "wind"]
    assert found.column_names[-1] == "negative_4"
    assert with_negatives(given, tiny_model, Negatives(1)) is given


def test_of_more_negatives_than_asked_for_the_first_ones_are_used(tiny_model) -> None:
    own = rows(negative=["a", "b", "c"], negative_2=["d", "e", "f"])
    for found in (complete_rows(own, 1), with_negatives(own, tiny_model, Negatives(1))):
        assert found.column_names == ["anchor", "positive", "negative"]
    for count in (0, 2):
        assert complete_rows(own, count).to_dict() == own.to_dict()


def test_the_documents_of_the_rows_are_the_corpus_by_default(tiny_model) -> None:
    pairs = Dataset.from_dict({"anchor": [f"text {n}" for n in range(9)], "positive": ANIMALS})
    found = with_negatives(pairs, tiny_model, Negatives(4))
    assert set().union(*(found[f"negative_{n}"] for n in range(1, 5))) <= set(ANIMALS)


def test_a_corpus_that_is_too_small(tiny_model) -> None:
    with pytest.raises(InputError, match=r"negatives: .*different documents"):
        with_negatives(rows(), tiny_model, Negatives(40), ANIMALS)


def test_fractions() -> None:
    assert [Negatives(count).mined for count in (1, 4, 5, 16)] == [1, 2, 3, 8]
    with pytest.raises(InputError):
        Negatives(0)
