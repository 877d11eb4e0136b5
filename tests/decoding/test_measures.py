from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from nearfar.decoding import coherence, diversity, repetition
from nearfar.errors import InputError
from nearfar.models.language import load_language_model

ROUND = "a b a b a b"
STRAIGHT = "a b c d e f"


def test_repetition_worked() -> None:
    # Of five 2-grams two differ; of four 3-grams two; of three 4-grams two.
    assert [repetition([ROUND], n) for n in (2, 3, 4)] == pytest.approx([60, 50, 100 / 3])
    assert diversity([ROUND]) == pytest.approx(100 * 0.4 * 0.5 * 2 / 3)
    assert diversity([STRAIGHT]) == 100


def test_texts_are_counted_apart_and_summed() -> None:
    assert repetition([STRAIGHT, STRAIGHT], 2) == 0
    assert repetition([ROUND, STRAIGHT], 2) == pytest.approx(100 * (1 - 7 / 10))


def test_as_published_leaves_the_last_gram_out() -> None:
    assert repetition([ROUND], 2, as_published=True) == 50  # two of four
    assert repetition(["a b c a b"], 3, as_published=True) == 0
    assert repetition(["x y z x y w x y"], 2, as_published=True) == round(100 * (1 - 5 / 6), 2)


def test_texts_that_are_too_short() -> None:
    assert repetition(["a", STRAIGHT], 4) == 0
    with pytest.raises(InputError, match="3 words"):
        repetition(["a b"], 3)


def test_coherence_is_the_mean_log_probability_of_the_continuation(tiny_lm_folder: Path) -> None:
    model, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    prompts, texts = ["the cat", "a long dog sits on", "sky"], [" sits on the mat", "", " is blue"]
    found = coherence(model, tokenizer, prompts, texts, batch_size=2)
    for row in (0, 2):
        head, tail = tokenizer.encode(prompts[row]), tokenizer.encode(texts[row])
        with torch.no_grad():
            log_p = model(input_ids=torch.tensor([head + tail])).logits[0].double().log_softmax(-1)
        places = range(len(head) - 1, len(head) + len(tail) - 1)
        expected = sum(log_p[place, token].item() for place, token in zip(places, tail, strict=True)) / len(tail)
        assert found[row] == pytest.approx(expected, abs=1e-5)
    assert math.isnan(found[1])
    with pytest.raises(InputError, match=r"^prompts: .* 2 for 1"):
        coherence(model, tokenizer, ["a", "b"], ["c"])
