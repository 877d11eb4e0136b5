"""English phrases for dialogue acts and slots: "request", "date" of an agent is "ask for the date".

An act is a verb phrase, another one for a user than for an agent where they do different things by it; its slots are
the object of the last act that takes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfar.models.action_labels import ActionLabel, Side

# Act -> (phrase before slots, phrase without slots), for both sides or for each.
_BOTH: dict[str, tuple[str, str]] = {
    "request": ("ask for", "ask a question"),
    "request alternative": ("ask for another option by", "ask for another option"),
    "agreement": ("", "agree"),
    "disagreement": ("", "decline"),
    "thank you": ("", "thank"),
    "good bye": ("", "say goodbye"),
    "greeting": ("", "greet"),
    "request more": ("", "ask whether anything else is needed"),
    "inform success": ("report success with", "report success"),
    "inform failure": ("report a failure with", "report a failure"),
}
_SIDES: dict[str, dict[str, tuple[str, str]]] = {
    "user": {
        "inform": ("give", "give information"),
        "offer": ("choose", "choose an offer"),
        "inform intent": ("state the wish and", "state the wish"),
        "confirm": ("ask to confirm", "ask for confirmation"),
    },
    "agent": {
        "inform": ("tell", "tell information"),
        "offer": ("offer", "make an offer"),
        "offer intent": ("offer the next step with", "offer the next step"),
        "confirm": ("confirm", "confirm details"),
    },
}
# "agree and ask for the date": what answers comes first, what says goodbye last.
_ORDER = ("greeting", "agreement", "disagreement", "thank you", "inform success", "inform failure")
_LAST = ("request", "request alternative", "request more", "offer intent", "good bye")
_QUESTIONS = ("request", "request alternative")
_NO_OBJECT = frozenset({"count", "inform", "intent"})
# Names that datasets write without spaces.
_SPELLED = {
    "phonenumber": "phone number",
    "transferamount": "amount",
    "lastuseddate": "date of last use",
    "ssn": "social security number",
}
_KINDS = {
    "number": "a number",
    "time": "a time",
    "date": "a date",
    "amount": "an amount",
    "email": "an e-mail address",
    "link": "a link",
    "code": "a code",
    "name": "a name",
}


def phrase(label: ActionLabel, slots: bool = True, kinds: Sequence[str] = ()) -> str:
    """A label in words.

    Args:
        label: Acts and slots of a turn, and who it is.
        slots: Name the slots; otherwise only the acts.
        kinds: Without slots: kinds of slots in the utterances, which are the object unless the turn asks for something.
    """
    things = [_SPELLED.get(slot, slot) for slot in label.slots if slot not in _NO_OBJECT] if slots else []
    acts = sorted(dict.fromkeys(label.acts), key=_place)
    takers = [act for act in acts if _words(act, label.side)[0]]
    parts = []
    for act in acts:
        before, alone = _words(act, label.side)
        if act == "inform" and takers[-1] != act:
            continue  # what is told is the object of the other act
        if act not in takers[-1:]:
            parts.append(alone)
        elif kinds and not slots and act not in _QUESTIONS:
            parts.append(f"{before} {joined([_KINDS[kind] for kind in kinds])}")
        else:
            parts.append(f"{before} {_object(things)}" if things else alone)
    return joined(parts).replace("ask for whether", "ask whether").replace("give whether", "say whether")


def slot_phrase(kind: str, side: Side) -> str:
    """What a turn does that is only a slot of a kind: "give a number"."""
    return f"{_words('inform', side)[0]} {_KINDS[kind]}"


def has_object(label: ActionLabel) -> bool:
    """Whether the phrase of a label names slots."""
    return phrase(label) != phrase(label, slots=False)


def joined(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _place(act: str) -> tuple[int, int]:
    if act in _ORDER:
        return (0, _ORDER.index(act))
    return (2, _LAST.index(act)) if act in _LAST else (1, act != "inform")


def _words(act: str, side: Side) -> tuple[str, str]:
    # Other acts are intents, which are verb phrases: "check balance".
    return _SIDES[side].get(act) or _BOTH.get(act) or (f"{act} and give", act)


def _object(slots: Iterable[str]) -> str:
    questions = [f"whether it {slot}" for slot in slots if slot.startswith(("is ", "has ", "accept"))]
    things = [_plural(slot) for slot in slots if not slot.startswith(("is ", "has ", "accept"))]
    return joined([*(["the " + joined(things)] if things else []), *questions])


def _plural(slot: str) -> str:
    head, of, what = slot.rpartition("number of ")
    return f"{head}{of}{what}s" if of and not what.endswith("s") else slot
