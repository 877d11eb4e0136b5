"""Labels of turns by their dialogue acts and slots."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.data import load
from nearfar.data.actions import act_names, action_label, clean_text, labelled_utterances, singular, slot_names
from nearfar.errors import InputError


def test_texts_lose_case_and_punctuation_but_no_letters() -> None:
    assert clean_text("I 'd like 2 Tickets, please!  What's up?") == "i'd like 2 tickets please what's up?"
    assert clean_text("Où est l\u2019hôtel \u2013 à 5 €?") == "où est l hôtel à 5 ?"
    assert clean_text("<b>snake_case</b>") == "b snake case b"


@pytest.mark.parametrize(
    ("plural", "word"),
    [
        ("tickets", "ticket"),
        ("cities", "city"),
        ("movies", "movie"),
        ("boxes", "box"),
        ("classes", "class"),
        ("airlines", "airline"),
        ("ties", "tie"),
        ("address", "address"),
        ("status", "status"),
        ("series", "series"),
        ("bus", "bus"),
        ("is", "is"),
    ],
)
def test_singular(plural: str, word: str) -> None:
    assert singular(plural) == word


def test_acts_of_many_datasets_become_one() -> None:
    assert act_names(["NOTIFY_FAILURE", "Booking-NoBook", "nobook", "sorry"]) == ["inform failure", "booking nobook"]
    assert act_names(["AFFIRM", "AFFIRM_INTENT", "NEGATE", "deny"]) == ["agreement", "disagreement"]
    assert act_names(["SELECT", "multiple_choice", "OFFER"]) == ["offer"]
    assert act_names(["THANK_YOU", "thanks", "welcome", "GOODBYE"]) == ["thank you", "good bye"]
    assert act_names(["REQ_MORE", "REQUEST_ALTS"]) == ["request more", "request alternative"]
    assert act_names(["INFORM_COUNT", "inform"]) == ["inform"]
    assert act_names(["other", "not_sure", "INFORM_INTENT", "a", "7"]) == []


def test_slots_keep_the_order_in_which_they_come() -> None:
    assert slot_names(["number_of_seats", "intent", "Date", "date", "city"]) == ["number of seat", "date", "city"]
    assert action_label(["INFORM"], ["city", "date"]) == "inform city, date"
    assert action_label(["INFORM"], ["date", "city"]) == "inform date, city"
    assert action_label(["INFORM"], ["date", "city"], sort_slots=True) == "inform city, date"
    assert action_label(["INFORM", "REQUEST_ALTS"], ["price_range"]) == "inform, request alternative price range"
    assert action_label(["GOODBYE"], []) == "good bye"
    assert action_label([], ["city"]) == ""


TURNS = [
    {"speaker": "USER", "text": "In Paris, on Monday.", "acts": ["INFORM"], "slots": ["city", "date"]},
    {"speaker": "SYSTEM", "text": "How many seats?", "acts": ["REQUEST"], "slots": ["seats"]},
    {"speaker": "USER", "text": "Two.", "acts": ["INFORM"], "slots": ["seats"]},
    {"speaker": "USER", "text": "No annotation here.", "acts": None, "slots": None},
]
DIALOGUES = {"dialogue_id": ["a", "b"], "turns": [TURNS, TURNS]}


def test_a_turn_is_a_row_or_one_for_each_act_or_slot() -> None:
    rows = load(Dataset.from_dict(DIALOGUES))
    told, asked = "in paris on monday", "how many seats?"
    assert labelled_utterances(rows) == ([told, asked] * 2, ["inform city, date", "request seat"] * 2)
    assert labelled_utterances(rows, "act") == ([told, asked] * 2, ["inform", "request"] * 2)
    assert labelled_utterances(rows, "slot") == ([told, told, asked] * 2, ["city", "date", "seat"] * 2)
    raw, _ = labelled_utterances(rows, clean=False, min_words=1)
    assert raw[:3] == ["In Paris, on Monday.", "How many seats?", "Two."]


def test_turns_in_rows_of_their_own_are_the_same() -> None:
    flat = [{"dialogue_id": name, **turn} for name in ("a", "b") for turn in TURNS]
    assert labelled_utterances(load(Dataset.from_list(flat))) == labelled_utterances(load(Dataset.from_dict(DIALOGUES)))


def test_labels_that_are_there_are_taken_as_they_are() -> None:
    rows = Dataset.from_dict({"text": ["Hi there!", "Oh hello", "so long", "Bye bye", "x y"], "label": [*"ggbb", "x"]})
    texts = ["hi there", "oh hello", "so long", "bye bye"]
    assert labelled_utterances(rows) == (texts, list("ggbb"))
    with pytest.raises(InputError, match=r"^labels: "):
        labelled_utterances(rows, "act")


def test_nothing_to_learn_from_is_said() -> None:
    bare = [{"speaker": "USER", "text": "hello there"}] * 3
    rows = load(Dataset.from_dict({"dialogue_id": ["a"], "turns": [bare]}))
    with pytest.raises(InputError, match=r"^acts: .*--columns acts="):
        labelled_utterances(rows)
    rows = load(Dataset.from_dict(DIALOGUES))
    with pytest.raises(InputError, match=r"^min_count: .*0 of 2.* 2"):
        labelled_utterances(rows, more_than=2)
