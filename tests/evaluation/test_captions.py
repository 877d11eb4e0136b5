"""Captions against what people wrote, with a model that says what it is told to say."""

from __future__ import annotations

import math
from typing import Any

import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.evaluation.tasks import Asked
from nearfar.evaluation.tasks.captions import measure, scores

pytest.importorskip("pycocoevalcap")

ROWS = Dataset.from_dict(
    {
        "image": ["a", "a", "b", "c"],
        "text": ["A dog runs!", "the dog is running", "two cats sleep", "a red car stands"],
    }
)


class Teller:
    """Says the same of an image, whatever comes before it."""

    def __init__(self, **said: str) -> None:
        self.said, self.prompts = said, []

    def describe(self, prompts: list[Any], **_: Any) -> list[str]:
        self.prompts += prompts
        return [self.said[prompt[-1]["image"]] for prompt in prompts]


def test_the_words_of_people_are_best_and_others_worth_nothing() -> None:
    best = measure(Teller(a="a dog runs", b="Two cats sleep.", c="a red car stands"), ROWS, Asked())  # type: ignore[arg-type]
    none = measure(Teller(a="x y", b="x y", c="x y"), ROWS, Asked())  # type: ignore[arg-type]
    assert best.n == 3, "two texts are about one image"
    assert best.metrics["bleu4"] == pytest.approx(1, abs=0.1)
    assert best.metrics["cider"] > 5 > none.metrics["cider"] == 0
    assert best.per_item["cider"].shape == (3,)


def test_cider_of_two_images_by_hand() -> None:
    # One word each, in one of two images: its weight is log 2 in both vectors, so that their cosine is 1; the longer
    # n-grams are missing.
    found, _ = scores(["dog", "cat"], [["dog"], ["mouse"]])
    assert found[0] == pytest.approx(10 * 1 / 4)
    assert found[1] == 0
    assert math.isfinite(found.sum())


def test_examples_are_of_other_images_and_depend_on_the_seed() -> None:
    asked = [Teller(a="x", b="x", c="x") for _ in range(3)]
    for teller, seed in zip(asked, (0, 0, 1), strict=True):
        measure(teller, ROWS, Asked(shots=1, seed=seed))  # type: ignore[arg-type]
    for prompt in asked[0].prompts:
        (example, text, image) = prompt
        assert example["image"] != image["image"]
        assert text["text"] in ROWS["text"]
    assert asked[0].prompts == asked[1].prompts
    assert asked[0].prompts != asked[2].prompts


def test_too_few_images_are_refused() -> None:
    with pytest.raises(InputError):
        measure(Teller(), ROWS, Asked(shots=2))  # type: ignore[arg-type]
    with pytest.raises(InputError):
        measure(Teller(), ROWS.select([0, 1]), Asked())  # type: ignore[arg-type]
