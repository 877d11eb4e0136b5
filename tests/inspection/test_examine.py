"""One model on one sample."""

from __future__ import annotations

import pytest
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from nearfar import geometry, inspect
from nearfar.inspection.examine import POINTS

from .helpers import PAIRS, random_unit


def of_texts(n: int, d: int, **options):
    return inspect(random_unit(n, d), Dataset.from_dict({"text": [f"t{i}" for i in range(n)]}), dims=[], **options)


def test_fewer_items_than_dimensions_are_noted() -> None:
    assert len(of_texts(8, 8).notes) == 1
    assert not of_texts(9, 8).notes


def test_the_map_has_a_limited_number_of_points() -> None:
    assert len(of_texts(POINTS + 10, 4).points) == POINTS == 2_000


@pytest.mark.parametrize("n", [geometry.LEAST_PAIRS - 1, geometry.LEAST_PAIRS])
def test_two_towers_of_texts_have_a_gap_from_five_pairs_on(n: int, tiny_model: SentenceTransformer) -> None:
    from sentence_transformers.base.modules import Router

    towers = SentenceTransformer(modules=[Router.for_query_document([*tiny_model], [*tiny_model])], device="cpu")
    rows = Dataset.from_dict({"anchor": [a for a, _ in PAIRS[:n]], "positive": [b for _, b in PAIRS[:n]]})
    found = inspect(towers, rows, dims=[])
    assert (found.gap is None) == (n < geometry.LEAST_PAIRS)


def test_an_anchor_with_several_positives_is_resampled_as_one(tiny_model: SentenceTransformer) -> None:
    one = Dataset.from_dict({"anchor": ["a", "b", "c"], "positive": ["x", "y", "z"]})
    two = Dataset.from_dict({"anchor": ["a", "a", "c"], "positive": ["x", "y", "z"]})
    assert inspect(tiny_model, one, dims=[], layers=[]).groups is None
    groups = inspect(tiny_model, two, dims=[], layers=[]).groups
    assert groups is not None
    assert groups.tolist() == [0, 0, 1]
