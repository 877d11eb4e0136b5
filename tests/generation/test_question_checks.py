"""Questions that their text alone shows to be useless, and questions that only look so."""

from __future__ import annotations

import pytest

from nearfar.generation.question_checks import (
    ABOUT,
    COPIED,
    EMPTY,
    REFUSAL,
    SCRIPT,
    copied_fraction,
    fault,
    question_key,
)

PASSAGE = "Sea otters wrap themselves in kelp before they sleep, so that the current does not carry them away."


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("", EMPTY),
        (" ?! ", EMPTY),
        ("I'm sorry, but there is no passage.", REFUSAL),
        ("I\N{RIGHT SINGLE QUOTATION MARK}m sorry, I cannot do this.", REFUSAL),
        ("As an AI language model, I have no opinion", REFUSAL),
        ("Unfortunately, I cannot write a question for this.", REFUSAL),
        ("Here is a question that the passage answers:", REFUSAL),
        ("Sure! Why do otters float?", REFUSAL),
        ("What does the passage say about otters?", ABOUT),
        ("According to the author, why do otters float?", ABOUT),
        ("Зачем выдре ламинария?", SCRIPT),
        ("海獺はなぜ海藻を使うのか", SCRIPT),
        ("why the current does not carry them away", COPIED),
        # Only look so.
        ("I can't log in to my account, what now?", None),
        ("I cannot open the kelp farm's door", None),
        ("Why does the passage of time scare otters?", None),
        ("How do marine mammals stay in one place at night?", None),
        ("What does 海藻 mean for an otter at night?", None),
    ],
)
def test_faults(question, reason) -> None:
    assert fault(question, PASSAGE, 0.7) == reason


def test_scripts_of_the_passage_decide() -> None:
    passage = "ラッコは眠る前に海藻を体に巻きつける。"
    assert fault("ラッコはどうやって流されないようにするか", passage) is None
    assert fault("why do otters use kelp", passage) == SCRIPT
    assert fault("why 42", "1 + 41 = 42") is None, "a passage without letters has no script"


@pytest.mark.parametrize(
    ("question", "copied"),
    [
        ("kelp", 1.0),
        ("Otters: WRAP themselves!", 1.0),
        ("do otters wrap themselves", 3 / 4),
        ("otters sleep in kelp", 1 / 2),
        ("why", 0.0),
        ("", 0.0),
    ],
)
def test_copied_fraction(question, copied) -> None:
    assert copied_fraction(question, PASSAGE) == copied


def test_characters_count_where_words_have_no_spaces() -> None:
    assert copied_fraction("海獺睡覺", "海獺在睡覺前") == 1 / 2


def test_equal_questions() -> None:
    assert question_key("Why do otters float?") == question_key("why do  Otters float")
    assert question_key("Why do otters float?") != question_key("Why do otters sink?")
