"""Labels for turns of dialogues: their dialogue acts and slots in a common vocabulary.

    ["NOTIFY_FAILURE"], []                      ->  "inform failure"
    ["INFORM", "REQUEST_ALTS"], ["price_range"] ->  "inform, request alternative price range"

Datasets have different names for the same act; the table of synonyms is that of Dialog2Flow, made for twenty datasets.

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

#: Synonyms of acts, normalized by `_words`.
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
#: Acts without information, and acts about an intent, which is neither act nor slot.
NO_ACTS = frozenset({"other", "not sure", "switch frame", "inform intent", "offer intent"})
NO_SLOTS = frozenset({"other", "not sure", "intent"})

_ROWS_AT_ONCE = 1_000

_UNLIKE_PLURALS = ("ss", "us", "is")
_NO_PLURALS = frozenset({"always", "gas", "lens", "means", "news", "perhaps", "plus", "series", "species", "yes"})
_IE = frozenset({"calorie", "cookie", "movie", "selfie"})


def clean_text(text: str) -> str:
    """Keep letters, digits, apostrophes and question marks, in lower case; replace everything else by single spaces.

    A space before an apostrophe is removed. Letters of all scripts are kept; the authors keep ASCII only.
    """
    return " ".join(re.findall(r"(?:[^\W_]|['?])+", re.sub(r"\s+'", "'", text))).lower()


def singular(word: str) -> str:
    """Remove the ending of an English plural by a few rules; the authors look nouns up in WordNet.

    `tickets` -> `ticket`, `cities` -> `city`, `boxes` -> `box`; `address`, `status` and `series` stay. Words that
    only look like plurals (`describes`) lose their ending too.
    """
    if len(word) < 4 or not word.endswith("s") or word.endswith(_UNLIKE_PLURALS) or word in _NO_PLURALS:
        return word
    if word.endswith("ies") and word[:-1] not in _IE:
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    return word[:-2] if word.endswith(("sses", "xes", "zzes", "ches", "shes")) else word[:-1]


def act_names(acts: Iterable[str]) -> list[str]:
    """The acts of a turn in the common vocabulary, without duplicates, in their original order.

    All variants of informing become `inform`; synonyms become one act; acts without information are dropped.
    """
    return _once(map(_act, acts))


def slot_names(slots: Iterable[str]) -> list[str]:
    """The slots of a turn in words, without duplicates, in their original order."""
    return _once(name for name in map(_words, slots) if name not in NO_SLOTS)


def action_label(acts: Iterable[str], slots: Iterable[str], sort_slots: bool = False) -> str:
    """Acts, a space, slots; both joined by commas. Empty if no act remains.

    Args:
        acts, slots: Names from a dataset.
        sort_slots: Sort slots alphabetically, so that `city, date` and `date, city` are the same label. The authors
            keep the order of the turn.
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
    """Texts and their labels, from turns of dialogues or from rows with labels.

    Args:
        rows: Of the schema `dialogues` or `turns`; or `labelled`, whose labels are used unchanged.
        kind: `"action"`: one text per turn, labelled by `action_label`. `"act"`, `"slot"`: one text for each act or
            slot of a turn, which is its label; dialogues and turns only.
        more_than: Labels with this many texts or fewer are dropped.
        sort_slots: See `action_label`.
        clean: Apply `clean_text`.
        min_words: Turns with fewer words are dropped, as are turns without a label.

    Raises:
        InputError: No turn has an act (or slot), fewer than two labels remain, or `kind` is not `"action"` for rows
            with labels.
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
        most = f"; the most frequent has {max(counts.values())}" if counts else ""
        raise InputError(
            f"expected at least 2 labels with more than {more_than} utterances of {min_words} words, "
            f"got {len(kept)} of {len(counts)}{most}",
            field="min_count" if more_than > 1 else None,
            remedy="lower min_count" if more_than > 1 else "give at least two labels with two utterances each",
        )
    chosen = [row for row, label in enumerate(labels) if label in kept]
    return [texts[row] for row in chosen], [labels[row] for row in chosen]


def _labelled(rows: Dataset, kind: Kind) -> Iterator[tuple[str, list[str]]]:
    if kind != "action":
        raise InputError(
            "requires dialogues or turns, got rows with one label per text", field="labels", remedy="use labels=single"
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
            f"no turn contains {field}",
            field=field,
            remedy=f"annotate the turns, map a column with --columns {field}=..., or use rows of text and label",
        )


def _each(rows: Dataset) -> Iterator[dict[str, Any]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield from rows.select(range(start, min(start + _ROWS_AT_ONCE, len(rows)))).to_list()


@lru_cache(maxsize=65_536)
def _words(name: str) -> str:
    """`Number_of_Seats` -> `number of seat`: words of two or more letters, in lower case, singular."""
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
