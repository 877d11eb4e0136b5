"""Evaluation rows that are training rows, or partly so."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.comparison.leaks import find_leaks, refuse_same, rows_without_same
from nearfar.data import Retrieval
from nearfar.errors import InputError


def pairs(*rows: tuple[str, str]) -> Dataset:
    return Dataset.from_dict({"anchor": [a for a, _ in rows], "positive": [p for _, p in rows]})


TRAINING = pairs(("a", "b"), ("c", "d"), ("e", "f"))


def test_counts_and_rows():
    # The same row the other way round and in capitals; two texts that were seen, apart; one text; none.
    held_out = pairs(("B ", "a"), ("c", "f"), ("x", "e"), ("y", "z"))
    found = find_leaks(TRAINING, held_out)
    assert (found.items, found.same, found.seen, found.shared) == (4, [(1, 1)], [2], [3])
    assert "1 of 4 evaluation rows have every text in the training rows (row 2)" in str(found)
    assert found.as_dict()["same_rows"] == 1


def test_nothing_shared():
    found = find_leaks(TRAINING, pairs(("u", "v"), ("w", "x")))
    assert (found.same, found.seen, found.shared) == ([], [], [])
    assert str(found) == "No text of the evaluation rows is in the training rows."


def test_negatives_are_seen_too():
    training = TRAINING.add_column("negative", ["n", "o", "p"])  # pyright: ignore[reportCallIssue]
    assert find_leaks(training, pairs(("n", "o"), ("q", "r"))).seen == [1]


def test_scores_and_labels_of_the_same_texts():
    scored = Dataset.from_dict({"sentence1": ["b", "u"], "sentence2": ["a", "v"], "score": [1.0, 0.0]})
    assert find_leaks(TRAINING, scored).same == [(1, 1)]
    labelled = Dataset.from_dict({"text": ["A", "z"], "label": ["x", "y"]})
    assert find_leaks(labelled, Dataset.from_dict({"text": ["a"], "label": ["y"]})).same == [(1, 1)]


def test_retrieval():
    held_out = Retrieval({"1": "b", "2": "z"}, {"q": "a", "r": "c"}, {"q": {"1": 1}, "r": {"2": 1}})
    found = find_leaks(TRAINING, held_out)
    assert (found.same, found.shared) == ([(1, 1)], [2])


def test_refused_by_row_and_mended():
    held_out = pairs(("u", "v"), ("c", "d"))
    with pytest.raises(InputError) as error:
        refuse_same(find_leaks(TRAINING, held_out), "held.csv")
    assert "1 of 2 evaluation rows are training rows too (row 2 = training row 2)" in str(error.value)
    assert "--drop-leaks" in str(error.value)
    kept = TRAINING.select(rows_without_same(TRAINING, held_out))
    assert kept["anchor"][:] == ["a", "e"]
    refuse_same(find_leaks(kept, held_out), "held.csv")


def test_all_rows():
    with pytest.raises(InputError, match=r"^--eval: .*--drop-leaks"):
        refuse_same(find_leaks(TRAINING, TRAINING), None)
    with pytest.raises(InputError, match=r"^--drop-leaks: .*0 of 3"):
        rows_without_same(TRAINING, TRAINING)


def test_the_first_of_equal_training_rows_is_named_and_rows_without_texts_share_nothing():
    training = pairs(("a", "b"), ("a", "b"), ("c", "d"))
    assert find_leaks(
        training,
        pairs(
            ("a", "b"),
        ),
    ).same == [(1, 1)]
    images = Dataset.from_dict({"image": ["a.png", "b.png"], "label": ["x", "y"]})
    from datasets import Image

    inside = images.remove_columns("image").add_column("image", [None, None]).cast_column("image", Image())  # pyright: ignore[reportCallIssue]
    found = find_leaks(inside, inside)
    assert (found.items, found.same, found.seen, found.shared) == (2, [], [], [])
    assert len(rows_without_same(inside, inside)) == 2


def test_rows_are_listed_by_what_they_share():
    found = find_leaks(TRAINING, pairs(("c", "f"), ("x", "e"), ("a", "d"), ("x", "y"))).as_dict()
    assert found["evaluation_rows"] == 4
    assert found["every_text_seen"] == {"rows": 2, "first": [1, 3]}
    assert found["some_text_seen"] == {"rows": 1, "first": [2]}


def test_five_rows_are_named():
    def refusal(rows: int) -> str:
        texts = [(f"a {i}", f"b {i}") for i in range(rows)]
        with pytest.raises(InputError) as caught:
            refuse_same(find_leaks(pairs(*texts), pairs(*texts, ("x", "y"))), "held.csv")
        return str(caught.value)

    assert "5 = training row 5" in refusal(5)
    assert "..." not in refusal(5)
    assert "6 = training row 6" not in refusal(6)
    assert "..." in refusal(6)


def test_one_row_left_is_too_few_to_train_on():
    with pytest.raises(InputError) as caught:
        rows_without_same(TRAINING, pairs(("a", "b"), ("c", "d")))
    assert caught.value.field == "--drop-leaks"
    assert (
        len(
            rows_without_same(
                TRAINING,
                pairs(
                    ("a", "b"),
                ),
            )
        )
        == 2
    )


def test_grades_of_documents_that_are_not_there_are_no_items():
    held_out = Retrieval({"1": "b", "2": "z"}, {"q": "a"}, {"q": {"1": 1, "gone": 1}, "lost": {"1": 1}})
    found = find_leaks(TRAINING, held_out)
    assert (found.items, found.same) == (1, [(1, 1)])
