"""SLU-F1, counted by hand."""

from __future__ import annotations

import pytest

from nearfar.evaluation.slots import slu_f1

GOLD = ["date=tomorrow morning", "place=rome"]


@pytest.mark.parametrize(
    ("told", "gold", "score"),
    [
        (GOLD, GOLD, 1.0),
        (["PLACE=rome"], ["place=rome"], 0.0),  # labels are exact
        (["place=Rome"], ["place=rome"], 1.0),  # values are not
        ([], [], 1.0),
        ([], GOLD, 0.0),
        (GOLD, [], 0.0),
        # One of two slots: TP 1, FN 1 for words and for characters: 2 * 2 / (2 * 2 + 2).
        (["place=rome"], GOLD, 2 / 3),
        # Words: "tomorrow" for "tomorrow morning" is 1 error of 2 words, d = 1/2. Characters: 8 of 16, d = 1/2.
        # TP 2 + 2, FP 1/2 + 1/2, FN 1/2 + 1/2: 8 / (8 + 2).
        (["date=tomorrow", "place=rome"], GOLD, 8 / 10),
        # Words: d = 1. Characters: one replacement in 4, d = 1/4. TP 1 + 1, FP 5/4, FN 5/4: 4 / (4 + 5/2).
        (["place=roma"], ["place=rome"], 4 / 6.5),
        # Word errors may be more than the words: d = 3; characters: 6 more, d = 6/7. 4 / (4 + 2 (3 + 6/7)).
        (["a=x y z w"], ["a=x"], 4 / (4 + 2 * (3 + 6 / 7))),
        # The nearest value of the label: b for b, then c for a, which is all wrong. TP 2 + 2, d = 1 and 1.
        (["n=b", "n=c"], ["n=a", "n=b"], 8 / (8 + 4)),
        # Another label: a false positive and a false negative, for words and for characters.
        (["from=rome", "on=friday"], ["to=rome", "on=friday"], 4 / (4 + 4)),
        (["flag"], ["flag"], 1.0),  # no value
    ],
)
def test_counts_of_one_item(told: list[str], gold: list[str], score: float) -> None:
    assert slu_f1([told], [gold]) == pytest.approx(score)


def test_counts_are_added_over_items() -> None:
    # TP 2 + 2; one false negative each: 8 / (8 + 2); not the mean of 1 and 2/3.
    assert slu_f1([["place=rome"], ["place=rome"]], [["place=rome"], GOLD]) == pytest.approx(8 / 10)
