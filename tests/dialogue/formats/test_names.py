"""Which words before a colon are speakers."""

from __future__ import annotations

import pytest

from nearfar.dialogue.formats.names import Names, in_sentence_case, is_label, is_name, is_role


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Anna", True),
        ("Dr. Anna van der Berg", True),
        ("🙂", True),
        ("12:30", False),
        ("", False),
        ("http://x", False),
        ("one two three four five six", False),
        ("a" * 61, False),
    ],
)
def test_a_few_words_that_are_not_only_digits(text: str, name: bool) -> None:
    assert is_name(text) == name


@pytest.mark.parametrize(
    "name", ["Agent", "agent", "Agent 2", "Customer Anna", "Agent2", "Call-center agent", "客服", "Kunde"]
)
def test_roles(name: str) -> None:
    assert is_role(name) == (name != "Call-center agent")


@pytest.mark.parametrize("name", ["Customer number", "Anna", "My agent said", "User id 2", ""])
def test_no_roles(name: str) -> None:
    assert not is_role(name)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Order number", True),
        ("Total", True),
        ("Step 2", True),
        ("Option B", True),
        ("Lieferadresse", True),
        ("Anna", False),
        ("Anna B", False),
        ("", False),
    ],
)
def test_labels(name: str, label: bool) -> None:
    assert is_label(name) == label


def test_phrases_have_a_word_in_lower_case() -> None:
    assert in_sentence_case("Best regards from me")
    assert not in_sentence_case("Maria de la Cruz")


def heard(*lines: str, known: tuple[str, ...] = ()) -> list[str]:
    """The speakers of one file of lines like `Name: text`."""
    names = Names(known)
    pairs = [line.split(":", 1) for line in lines]
    names.add_file([(name, text.strip(), False, text.startswith(" ")) for name, text in pairs])
    return [name for name in dict.fromkeys(name for name, _ in pairs) if names.is_speaker(name)]


def test_who_speaks_twice_is_a_speaker_and_a_guest_may_speak_once() -> None:
    assert heard("Anna: hi", "Ben: hello", "Anna: bye", "Ben: bye", "Chris: me too") == ["Anna", "Ben", "Chris"]


def test_where_roles_speak_other_words_are_facts() -> None:
    assert heard("Agent: hi", "Customer: hello", "Hamburg: sunny") == ["Agent", "Customer"]


def test_labels_are_not_speakers_unless_they_are_known() -> None:
    lines = ("Anna: hi", "Ben: yes", "Order number: 555", "Anna: thanks", "Ben: bye")
    assert heard(*lines) == ["Anna", "Ben"]
    assert heard(*lines, known=("order number",)) == ["Anna", "Ben", "Order number"]


def test_case_does_not_matter_and_a_time_makes_a_speaker() -> None:
    names = Names()
    names.add_file([("Total", "12", True, True), ("TOTAL", "13", False, True), ("Anna", "hi", True, True)])
    assert names.is_speaker("total")
    assert names.is_speaker("ANNA")
