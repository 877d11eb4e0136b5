"""Readable names of actions: a typical utterance, characteristic words, or a name by a language model.

Names from the label vocabulary of the encoder are made in `nearfar.dialogue.words.labels`.

The words have the highest class-based TF-IDF (Grootendorst 2022, BERTopic, arXiv 2203.05794, equation 2):

    w(word, action) = tf(word, action) log(1 + A / f(word)),  A: mean number of words of an action, f: total count
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nearfar.dialogue.slots.texts import without_slots
from nearfar.reports.text import plain

if TYPE_CHECKING:
    from jaxtyping import Int

    from nearfar.dialogue.clustering import Actions
    from nearfar.dialogue.log import Log
    from nearfar.dialogue.slots.texts import Slots
    from nearfar.generation import Generator

EXAMPLES = 8
"""Number of examples of an action."""
_WORDS = 3
_LONGEST = 64
"""Maximum number of characters of a name."""
_SHOWN = 5
"""Number of utterances in the prompt of a language model."""
_LONGEST_SHOWN = 300


Source = Literal["utterance", "labels", "slots", "model", "edit"]


@dataclass(frozen=True)
class Described:
    """An action in words.

    Args:
        name: Its name.
        words: The words that distinguish it from the other actions of its speaker.
        examples: (index of a text, its count), the most typical text first.
        source: Where the name comes from: a typical "utterance", the "labels" of the encoder, its "slots", a
            language "model", or a person's "edit".
        slots: Kind of slot -> number of turns that contain it, the most frequent first.
    """

    name: str
    words: tuple[str, ...]
    examples: tuple[tuple[int, int], ...]
    source: Source = "utterance"
    slots: Mapping[str, int] = field(default_factory=dict)


def describe(log: Log, actions: Actions, slots: Slots | None = None) -> list[Described]:
    """Describe every action by its utterances; the name is the text nearest to the action's mean, truncated if long.

    Args:
        log: The dialogues.
        actions: The action of every turn.
        slots: The slots of the texts: they are counted, and are not among the words.
    """
    words = _distinct_words(log, actions, log.texts if slots is None else list(map(without_slots, slots.forms)))
    described = []
    order = np.lexsort((log.text, actions.turn))
    bounds = np.searchsorted(actions.turn[order], np.arange(len(actions) + 1))
    for action in range(len(actions)):
        turns = order[bounds[action] : bounds[action + 1]]
        texts, first, counts = np.unique(log.text[turns], return_index=True, return_counts=True)
        near = np.lexsort((texts, -actions.closeness[turns][first]))[:EXAMPLES]
        examples = tuple((int(texts[i]), int(counts[i])) for i in near)
        kinds = {} if slots is None else slots.counts(zip(texts.tolist(), counts.tolist(), strict=True))
        described.append(Described(shortened(log.texts[examples[0][0]]), words[action], examples, slots=kinds))
    return described


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A text of at most ``longest`` characters, truncated between words if possible."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > longest // 2 else cut).rstrip(" ,;:-") + "…"


def as_shown(text: str) -> str:
    """An utterance as the page shows it: without control characters, and truncated if it is long."""
    return plain(shortened(text, _LONGEST_SHOWN))


def _distinct_words(log: Log, actions: Actions, texts: Sequence[str]) -> list[tuple[str, ...]]:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    found: list[tuple[str, ...]] = [()] * len(actions)
    vectorizer = CountVectorizer(token_pattern=r"(?u)\b[^\W\d_]{2,}\b")
    try:
        words: Any = vectorizer.fit_transform(texts)
    except ValueError:  # no text contains a word
        return found
    vocabulary = vectorizer.get_feature_names_out()
    for speaker in range(len(log.speakers)):
        mine = np.flatnonzero(actions.speaker == speaker)
        turns = np.flatnonzero(log.speaker == speaker)
        where = (np.searchsorted(mine, actions.turn[turns]), log.text[turns])
        said = csr_matrix((np.ones(len(turns)), where), shape=(len(mine), len(log.texts)))
        for row, top in enumerate(_top(said @ words)):
            found[int(mine[row])] = tuple(str(vocabulary[column]) for column in top)
    return found


def _top(counts: Any) -> list[list[int]]:
    """The columns of the highest weight in each row."""
    often = np.asarray(counts.sum(0)).ravel()
    mean = often.sum() / max(1, counts.shape[0])
    rows = []
    for row in range(counts.shape[0]):
        part = slice(counts.indptr[row], counts.indptr[row + 1])
        columns, values = counts.indices[part], counts.data[part]
        weights = values * np.log1p(mean / often[columns])
        rows.append(columns[np.lexsort((columns, -weights))][:_WORDS].tolist())
    return rows


def name_by_model(
    described: Sequence[Described],
    texts: Sequence[str],
    generator: Generator,
    log_path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[Described]:
    """Let a language model name every action from its utterances, its slots and the name that it has without the model.

    Answers are stored in a log and reused.

    Args:
        described: The actions.
        texts: The texts that their examples refer to.
        generator: The language model.
        log_path: The file that stores the answers.
        progress: Called with (number done, total).

    Raises:
        InputError: the model cannot be used.
    """
    from nearfar.generation import CallLog, Decoding, Prompt

    prompts = [Prompt(_prompt(each, texts)) for each in described]
    answers = CallLog(log_path).complete(generator, prompts, Decoding(max_tokens=16), progress)
    named, without = [], 0
    for each, answer in zip(described, answers, strict=True):
        name = _cleaned(answer)
        without += not name
        named.append(replace(each, name=name, source="model") if name else each)
    if without:
        text = "the model returned no name for %d of %d actions; they are named by an utterance"
        logging.getLogger(__name__).warning(text, without, len(described))
    return named


_SHOTS = (
    (
        ("Which day would you like?", "For what date should I look?", "When do you want to travel?"),
        "",
        "ask for the date",
        "ask for the date",
    ),
    (("Thank you very much!", "Thanks a lot.", "Great, thank you."), "", "", "thank"),
    (
        ("The ticket costs $45.", "It is 12 dollars per person.", "The price is 80."),
        "amount, number",
        "",
        "tell the price",
    ),
)


def _prompt(each: Described, texts: Sequence[str]) -> str:
    said = [shortened(texts[text], 160) for text, _ in each.examples[:_SHOWN]]
    proposal = "" if each.source == "utterance" else each.name
    parts = ["Name in two to five words what all utterances of each group do."]
    for shot, slots, proposed, name in [*_SHOTS, (said, ", ".join(each.slots), proposal, "")]:
        lines = ["Utterances:", *(f"- {text}" for text in shot)]
        lines += [f"Slots: {slots}"] * bool(slots) + [f"Proposed: {proposed}"] * bool(proposed)
        parts.append("\n".join([*lines, f"Name: {name}".rstrip()]))
    return "\n\n".join(parts)


def _cleaned(answer: str) -> str:
    name = re.sub(r"^(?:name|action)\s*:\s*", "", answer.strip(), flags=re.IGNORECASE)
    return shortened(name.strip(" \t\"'`*.-\u2013\u2014"), 48)


def same_names(described: Sequence[Described], speaker: Int[np.ndarray, " actions"]) -> Mapping[int, int]:
    """Action -> the first action of the same speaker with the same name, without regard to case."""
    first: dict[tuple[int, str], int] = {}
    joined = {}
    for action, each in enumerate(described):
        earlier = first.setdefault((int(speaker[action]), each.name.casefold()), action)
        if earlier != action:
            joined[action] = earlier
    return joined
