"""What a turn of a dialogue does, as a label: its dialogue acts and slots in common words.

    ["NOTIFY_FAILURE"], []                      ->  "inform failure"
    ["INFORM", "REQUEST_ALTS"], ["price_range"] ->  "inform, request alternative price range"

Data sets name one act in many ways; the table of synonyms is that of Dialog2Flow, which has twenty of them in mind.

Source: Burdisso, Madikeri, Motlicek 2024, Dialog2Flow (EMNLP).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["act_names", "action_label", "clean_text", "labelled_utterances", "singular", "slot_names"]

Kind = Literal["action", "act", "slot"]

#: Other names of an act. All are written as `_words` leaves them.
SYNONYMS: Mapping[str, str] = {
    name: act
    for act, names in {
        "inform failure": ("notify failure", "no result", "nooffer", "nobook", "sorry", "canthelp", "reject"),
        "inform success": ("book", "offerbooked", "notify success"),
        "request more": ("req more", "reqmore", "moreinfo", "hearmore"),
        "request alternative": ("request alt", "reqalt"),
        "agreement": ("affirm", "affirm intent"),
        "disagreement": ("negate", "negate intent", "deny"),
        "offer": ("select", "multiple choice", "offerbook"),
        "recommendation": ("suggest", "recommend"),
        "thank you": ("thank", "thankyou", "welcome"),
        "good bye": ("goodbye", "closing"),
    }.items()
    for name in names
}
#: Acts that say nothing of what is done, and those about an intent, which is neither act nor slot.
NO_ACTS = frozenset({"other", "not sure", "switch frame", "inform intent", "offer intent"})
NO_SLOTS = frozenset({"other", "not sure", "intent"})

_ROWS_AT_ONCE = 1_000

_UNLIKE_PLURALS = ("ss", "us", "is")
_NO_PLURALS = frozenset({"always", "gas", "lens", "means", "news", "perhaps", "plus", "series", "species", "yes"})
_IE = frozenset({"calorie", "cookie", "movie", "selfie"})


def clean_text(text: str) -> str:
    """Runs of letters, digits, apostrophes and question marks in lower case, with a space between them.

    A space before an apostrophe goes. Letters are those of any script, where the authors keep ASCII alone.
    """
    return " ".join(re.findall(r"(?:[^\W_]|['?])+", re.sub(r"\s+'", "'", text))).lower()


def singular(word: str) -> str:
    """The word without the ending of an English plural: a few rules, where the authors look nouns up in WordNet.

    `tickets` -> `ticket`, `cities` -> `city`, `boxes` -> `box`; `address`, `status` and `series` stay. Words that only
    look like plurals (`describes`) lose their ending too.
    """
    if len(word) < 4 or not word.endswith("s") or word.endswith(_UNLIKE_PLURALS) or word in _NO_PLURALS:
        return word
    if word.endswith("ies") and word[:-1] not in _IE:
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    return word[:-2] if word.endswith(("sses", "xes", "zzes", "ches", "shes")) else word[:-1]


def act_names(acts: Iterable[str]) -> list[str]:
    """The acts of one turn in common words, each once, in the order in which they come.

    What is any kind of informing becomes `inform`; synonyms become one; what says nothing is left out.
    """
    return _once(map(_act, acts))


def slot_names(slots: Iterable[str]) -> list[str]:
    """The slots of one turn in words, each once, in the order in which they come."""
    return _once(name for name in map(_words, slots) if name not in NO_SLOTS)


def action_label(acts: Iterable[str], slots: Iterable[str], sort_slots: bool = False) -> str:
    """Acts, a space, slots; both joined by commas. Empty where no act is left.

    Args:
        acts, slots: As a data set names them.
        sort_slots: Put slots in alphabetical order, so that `city, date` and `date, city` are one label. The authors
            keep the order of the turn, and so make two.
    """
    names, slots = act_names(acts), slot_names(slots)
    if not names:
        return ""
    return " ".join(filter(None, (", ".join(names), ", ".join(sorted(slots) if sort_slots else slots))))


def labelled_utterances(
    rows: Dataset,
    kind: Kind = "action",
    *,
    more_than: int = 1,
    sort_slots: bool = False,
    clean: bool = True,
    min_words: int = 2,
) -> tuple[list[str], list[str]]:
    """Texts and their labels, of every turn or of rows that have labels already.

    Args:
        rows: Of the schema `dialogues` or `turns`, or `labelled`, whose labels are taken as they are.
        kind: `"action"`: one row a turn, labelled by `action_label`. `"act"`, `"slot"`: one row for each act or slot
            of a turn, labelled by it alone; dialogues and turns only.
        more_than: Labels are kept that have more rows than that.
        sort_slots: See `action_label`.
        clean: Pass texts through `clean_text`.
        min_words: Turns of fewer words are left out, as are those without a label.

    Raises:
        InputError: not one turn has an act (or slot), fewer than two labels are left, or `kind` asks for what rows with
            labels do not have.
    """
    texts: list[str] = []
    labels: list[str] = []
    for text, found in _labelled(rows, kind) if "label" in rows.column_names else _turns(rows, kind, sort_slots):
        text = clean_text(text) if clean else text
        if len(text.split()) >= min_words:
            texts += [text] * len(found)
            labels += found
    counts = Counter(labels)
    kept = {label for label, count in counts.items() if count > more_than}
    if len(kept) < 2:
        most = f"; the commonest has {max(counts.values())}" if counts else ""
        raise InputError(
            f"{len(kept)} of {len(counts)} labels have more than {more_than} utterances of {min_words} words{most}",
            field="min_count" if more_than > 1 else None,
            remedy="lower min_count" if more_than > 1 else "give at least two labels with two utterances each",
        )
    chosen = [row for row, label in enumerate(labels) if label in kept]
    return [texts[row] for row in chosen], [labels[row] for row in chosen]


def _labelled(rows: Dataset, kind: Kind) -> Iterator[tuple[str, list[str]]]:
    if kind != "action":
        raise InputError(
            "these rows have one label a text, not acts and slots", field="labels", remedy="use labels=single"
        )
    for row in _each(rows):
        yield row["text"], [str(row["label"])]


def _turns(rows: Dataset, kind: Kind, sort_slots: bool) -> Iterator[tuple[str, list[str]]]:
    field = "slots" if kind == "slot" else "acts"
    annotated = False
    for turn in (turn for row in _each(rows) for turn in row.get("turns", (row,))):
        acts, slots = turn.get("acts") or (), turn.get("slots") or ()
        annotated = annotated or bool(slots if kind == "slot" else acts)
        if kind == "action":
            yield turn["text"], list(filter(None, [action_label(acts, slots, sort_slots)]))
        else:
            yield turn["text"], act_names(acts) if kind == "act" else slot_names(slots)
    if not annotated:
        raise InputError(
            f"no turn has {field}",
            field=field,
            remedy=f"annotate the turns, map a column with --columns {field}=..., or give rows of text and label",
        )


def _each(rows: Dataset) -> Iterator[dict[str, Any]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield from rows.select(range(start, min(start + _ROWS_AT_ONCE, len(rows)))).to_list()


@lru_cache(maxsize=65_536)
def _words(name: str) -> str:
    """`Number_of_Seats` -> `number of seat`: runs of two letters or more, in lower case, singular."""
    return " ".join(singular(word) for word in re.findall(r"[^\W\d_]{2,}", name.lower()))


@lru_cache(maxsize=65_536)
def _act(name: str) -> str:
    words = _words(name)
    if words in NO_ACTS:
        return ""
    if words in SYNONYMS.values():
        return words
    return "inform" if "inform" in words else SYNONYMS.get(words, words)


def _once(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]
