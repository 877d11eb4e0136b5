"""Which rationales are good, and how good ones are corrupted."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.mining.rationales import corrupted, majority, sorted_rationales


def rows(*answers: str | None, gold: str = "7") -> Dataset:
    rationales: list[Any] = [{"text": f"reason {n}", "answer": answer} for n, answer in enumerate(answers)]
    return Dataset.from_list([{"question": "3 + 4?", "answer": gold, "rationales": rationales}])


def test_the_majority_and_a_tie() -> None:
    assert majority(["7", "7", "3", "7", "3"]) == "7"
    assert majority(["3", "7", "7", "3"]) == "3"


def test_positives_reach_the_answer_of_most() -> None:
    found = sorted_rationales(rows("7", "7", "3", "7", "3"))[0]
    assert found["positives"] == ["reason 0", "reason 1", "reason 3"]
    assert found["negatives"] == ["reason 2", "reason 4"]
    assert (found["question"], found["answer"], found["index"]) == ("3 + 4?", "7", 0)


def test_by_the_answer_of_the_row_or_all() -> None:
    given = rows("3", "3", "7")
    assert sorted_rationales(given)[0]["positives"] == ["reason 0", "reason 1"]
    assert sorted_rationales(given, "gold")[0]["positives"] == ["reason 2"]
    assert len(sorted_rationales(given, "all")[0]["positives"]) == 3


def test_texts_alone_are_good() -> None:
    given = Dataset.from_list([{"question": "q", "answer": "a", "rationales": ["one", "two"]}])
    assert sorted_rationales(given, "gold")[0]["positives"] == ["one", "two"]


def test_rows_without_a_good_rationale_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    from datasets import concatenate_datasets

    both = concatenate_datasets([rows("3"), rows("7")])
    with caplog.at_level(logging.WARNING):
        found = sorted_rationales(both, "gold")
    assert len(found) == 1
    assert found[0]["index"] == 0
    assert "1 of 2" in caplog.text
    with pytest.raises(InputError, match="rationales"):
        sorted_rationales(rows("3"), "gold")


def test_at_most_so_many_chosen_by_the_seed() -> None:
    given = rows(*"77777777")
    one, same, other = (sorted_rationales(given, at_most=3, seed=seed)[0]["positives"] for seed in (0, 0, 1))
    assert one == same
    assert len(one) == 3
    assert one != other


def test_a_corrupted_text_differs() -> None:
    torch.manual_seed(0)
    text, words = "the sum of three and four is seven", ["red", "blue"]
    for _ in range(20):
        found = corrupted(text, words, 0.3)
        assert found
        assert found != text
    assert corrupted("seven", words, 0.0) in words
