"""From rows to a sample."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.data import Retrieval
from nearfar.errors import InputError
from nearfar.inspection.sampling import draw_sample

from .helpers import pairs


def test_a_retrieval_set_keeps_relevant_documents_and_samples_others() -> None:
    data = Retrieval(
        {f"d{i}": f"text {i}" for i in range(20)},
        {f"q{i}": f"query {i}" for i in range(5)},
        {f"q{i}": {f"d{i}": 1} for i in range(5)},
    )
    sample = draw_sample(data, 10)
    assert (sample.total, sample.rows) == (5, 5)
    assert len(sample.sides[1]) == 10
    assert list(sample.sides[1].origins[:5]) == ["d0", "d1", "d2", "d3", "d4"]
    assert len(sample.notes) == 1
    assert draw_sample(data, 20).notes == ()
    assert len(draw_sample(data, 3).sides[0]) == 3


def test_the_sample_follows_the_seed() -> None:
    rows = pairs(100)
    first, again, other = (draw_sample(rows, 20, seed) for seed in (0, 0, 1))
    assert list(first.sides[0].items) == list(again.sides[0].items) != list(other.sides[0].items)
    assert (first.negatives == again.negatives).all()
    assert first.rows == 20
    assert first.total == 100


def test_equal_texts_are_one_item_and_not_their_own_negative() -> None:
    rows = Dataset.from_dict({"anchor": ["q", "q", "r", "s"], "positive": ["x", "y", "x", "q"]})
    sample = draw_sample(rows, 100)
    assert [list(side.items) for side in sample.sides] == [["q", "r", "s"], ["x", "y", "q"]]
    assert list(sample.sides[1].origins) == [0, 1, 3]
    assert sample.excluded.tolist() == [[0, 2]]
    # q matches x and y and is itself an item of the second side: it has no negatives.
    drawn = {(int(sample.anchors[number]), item) for number, item in sample.negatives.tolist()}
    assert {anchor for anchor, _ in drawn} == {1, 2}
    assert (1, 0) not in drawn


def test_too_few_items_and_rows_without_single_texts() -> None:
    with pytest.raises(InputError) as error:
        draw_sample(Dataset.from_dict({"text": ["a", "b", "a"]}), 100)
    assert error.value.field == "text"
    with pytest.raises(InputError) as error:
        draw_sample(Dataset.from_dict({"anchor": ["a", "b", "c"], "positive": ["d", "e", "d"]}), 100)
    assert error.value.field == "positive"
    assert len(draw_sample(Dataset.from_dict({"text": ["a", "b", "c"]}), 100)) == 3
    rows = Dataset.from_dict({"dialogue_id": ["1"] * 3, "turns": [[{"speaker": "a", "text": "b"}]] * 3})
    with pytest.raises(InputError, match="dialogues"):
        draw_sample(rows, 100)


def test_a_retrieval_set_without_texts_in_its_relevant_documents_has_no_positives() -> None:
    corpus = {"d0": " ", **{f"d{i}": f"text {i}" for i in range(1, 6)}}
    sample = draw_sample(Retrieval(corpus, {"q0": "one", "q1": "two"}, {"q0": {"d0": 1}, "q1": {"d0": 1}}), 100)
    assert sample.positives.shape == (0, 2)
    assert sample.anchors.tolist() == [0, 1]
    assert "d0" not in sample.sides[1].origins


def test_hard_negatives_and_labels_keep_the_rows_of_their_items() -> None:
    rows = Dataset.from_dict(
        {
            "anchor": ["a0", "a1", "a0"],
            "positive": ["p0", "p1", "p2"],
            "negative_1": ["n0", "p2", "n0"],
            "negative_2": ["n1", "n2", "p0"],
            "domain": ["x", "y", "z"],
        }
    )
    sample = draw_sample(rows, 100)
    first, second = sample.sides
    assert list(zip(first.items, first.origins, strict=True)) == [("a0", 0), ("a1", 1)]
    assert list(zip(second.items, second.origins, strict=True)) == [
        ("p0", 0), ("p1", 1), ("p2", 2), ("n0", 0), ("n1", 0), ("n2", 1)
    ]  # fmt: skip
    assert sample.groups == (["x", "y"], ["x", "y", "z", "x", "x", "y"])
    assert sample.labels is None
    named = sample.named_pairs["hard negatives"].tolist()
    assert named == [[0, 3], [1, 2], [0, 3], [0, 4], [1, 5], [0, 0]]
    assert sample.positives.tolist() == [[0, 0], [0, 2], [1, 1]]
