"""Triplets: written, scored, kept or dropped."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.errors import InputError
from nearfar.generation import CallLog, Decoding, Prompt
from nearfar.generation.triplets import Rule, curate, encoder_scores, generate, generated_scores, score


class Scripted:
    """Answers by a function of the prompt."""

    identity = "scripted"

    def __init__(self, answer) -> None:
        self.answer = answer

    def answers(self, prompts: list[Prompt], decoding: Decoding):
        for number, prompt in enumerate(prompts):
            yield number, self.answer(prompt)


@pytest.mark.parametrize(
    ("a", "b", "kept"),
    [
        (5.0, 0.0, True),
        (4.0, 3.0, True),
        (3.0, 3.0, False),
        (4.0, 3.5, False),
        (2.9, 0.0, False),
        (3.2, 3.0, False),
        (3.5, 2.6, False),
        (None, 0.0, False),
        (5.0, None, False),
    ],
)
def test_the_papers_rule(a, b, kept) -> None:
    row = {"anchor": "x", "positive": "p", "negative": "n"}
    for swap in (True, False):
        stays, goes = curate([row], [(a, b)], Rule(swap=swap))
        assert (len(stays), len(goes)) == ((1, 0) if kept else (0, 1))
        judged = (stays or goes)[0]
        assert (judged["anchor"], judged["positive"], judged["negative"]) == ("x", "p", "n")
        assert (judged["score_positive"], judged["score_negative"]) == (a, b)
        assert bool(judged.get("dropped")) == (not kept)


def test_roles_are_swapped_first() -> None:
    row = {"anchor": "x", "positive": "p", "negative": "n"}
    (stays,), _ = curate([row], [(1.0, 4.5)], Rule())
    assert (stays["positive"], stays["negative"], stays["score_positive"]) == ("n", "p", 4.5)
    assert curate([row], [(1.0, 4.5)], Rule(swap=False))[0] == []
    _, (goes,) = curate([row], [(4.2, 5.0)], Rule(beta=5.0, gamma=0.0))
    assert goes["dropped"] == "both are too similar"


def test_a_rule_without_limits_is_refused() -> None:
    with pytest.raises(InputError, match="gamma"):
        Rule(gamma=float("nan"))


def test_a_triplet_a_sentence_with_both_instructions_and_their_contrast(tmp_path) -> None:
    seen: list[Prompt] = []

    def answer(prompt: Prompt) -> str:
        seen.append(prompt)
        if "dog" in prompt.text and "cannot" in prompt.text:
            return ""
        return "near" if "must" in prompt.text else "far"

    rows = generate(["the cat", "the dog", "a\nbird"], Scripted(answer), CallLog(tmp_path / "c"), Decoding(omega=0.3))
    assert rows == [
        {"anchor": "the cat", "positive": "near", "negative": "far"},
        {"anchor": "a\nbird", "positive": "near", "negative": "far"},
    ]
    assert len(seen) == 6
    texts = {prompt.text for prompt in seen}
    assert all(prompt.opposite in texts and prompt.opposite != prompt.text for prompt in seen)
    assert all(prompt.text.endswith("\nAnswer:") for prompt in seen)
    assert any(prompt.text.endswith("Sentence: a bird\nAnswer:") for prompt in seen)


def test_scores_of_a_generator(tmp_path) -> None:
    rows = [
        {"anchor": "x", "positive": "same", "negative": "other"},
        {"anchor": "y", "positive": "same", "negative": "?"},
    ]
    answers = {"same": "4.5", "other": "0", "?": "hard to say"}
    scripted = Scripted(lambda prompt: answers[prompt.text.splitlines()[-2].removeprefix("Sentence 2: ")])
    found = score(rows, generated_scores(scripted, CallLog(tmp_path / "c")))
    assert found == [(4.5, 0.0), (4.5, None)]


def test_scores_of_an_encoder(tiny_model) -> None:
    row = {"anchor": "the cat sits", "positive": "the cat sits", "negative": "bank"}
    ((same, other),) = score([row], encoder_scores(tiny_model))
    a, b = tiny_model.encode(["the cat sits", "bank"])
    assert same == pytest.approx(5.0, abs=1e-5)
    assert other == pytest.approx(5 * max(0.0, float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))), abs=1e-5)
