"""Names of people in utterances, by what is around them: there is no list of names, and no model.

A word is a name if

- it follows "my name is", "name's", "Mr", "Mrs", "Ms" or "Dr", in any case;
- it is capitalised, follows a greeting ("Hello Anna"), "this is", "speaking with" or "talking to", or precedes
  "speaking", and is never written in lower case in the log, as words at the beginning of a sentence are;
- it is capitalised inside a sentence and is a name by one of these cues elsewhere in the log, or part of a speaker's
  name.
"""

# ruff: noqa: RUF001 - apostrophes and dashes of typesetting
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from nearfar.dialogue.formats.names import is_role
from nearfar.dialogue.slots.patterns import Span

_NAME = r"[^\W\d_][^\W\d_'’-]+(?:['’-][^\W\d_]{2,})?"
_STATED = re.compile(
    rf"""
    \b(?: (?:my|his|her|the|last|first|full)\s(?:last\s|first\s|full\s)?(?:sur)?name(?:\sis|['’]?s) | i\sam\scalled
        | mr | mrs | ms | dr )\b
    \.?[\s:,]+(?P<name>{_NAME}(?:\s{_NAME})?)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ][^\W\d_A-Z'’-]+(?:['’-][^\W\d_]{2,})?"
# After a comma, as in "Hi, Ben!", a name ends the sentence or precedes another mark: "Hi, Could you ..." is no name.
_CUED = re.compile(
    rf"""
    \b(?i:hello | hi | hey | dear | welcome | greetings | thanks | thank\syou | good\s(?:morning|afternoon|evening|day)
        | bye | this\sis | (?:speaking|talking|talk|speak)\s(?:to|with))
    (?:\s | ,\s(?=\S+(?<![,.!?])(?:\s\S+(?<![,.!?]))?(?:[,.!?]|$)))
    (?P<name>{_CAPITAL}(?:\s{_CAPITAL})?)
    | (?P<before>{_CAPITAL}(?:\s{_CAPITAL})?)(?=\sspeaking\b)
    """,
    re.VERBOSE,
)
_CAPITALISED = re.compile(rf"(?<![\w'’]){_CAPITAL}(?![\w'’])")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_LOWER = re.compile(r"(?<![\w'’])[^\W\d_A-Z][^\W\d_]*")
# Words that follow "my name is" and are no name: "my name is on the card", "the last name is spelled with a k".
_OTHERS = """
a an and any are as at be but by can could correct do first for from full has have here i in is it last like me my name
no not of ok okay on or please right so spelled that the there this to under was we what with would wrong yes you your
calling thank thanks hello hi sir madam everyone team all again sure speaking am will just also still registered written
different missing incorrect
"""
_NOT_NAMES = frozenset(_OTHERS.split())
_SENTENCE = ".!?:"


class NameFinder:
    """Finds names in the texts of a log.

    Args:
        texts: The distinct texts of the log.
        speakers: Names of its speakers; roles, such as "agent", are no names.
    """

    def __init__(self, texts: Sequence[str], speakers: Iterable[str] = ()) -> None:
        self._lower = {word for text in texts for word in _LOWER.findall(text)}
        self._known: set[str] = set()
        for speaker in speakers:
            if not is_role(speaker):
                self._known |= {word for word in _CAPITALISED.findall(speaker) if len(word) > 2}
        for text in texts:
            for start, end in self._cued(text):
                self._known |= set(_CAPITALISED.findall(text[start:end]))
        self._known = {word for word in self._known if word.lower() not in self._lower}

    def spans(self, text: str) -> list[Span]:
        """The names in a text; first and last name together are one."""
        found = [*self._cued(text)]
        if not self._known.isdisjoint(_WORD.findall(text)):
            for match in _CAPITALISED.finditer(text):
                before = text[: match.start()].rstrip()
                if match[0] in self._known and before and before[-1] not in _SENTENCE:
                    found.append(match.span())
        merged: list[list[int]] = []
        for start, end in sorted(found):
            if merged and not text[merged[-1][1] : start].strip():
                merged[-1][1] = max(end, merged[-1][1])
            else:
                merged.append([start, end])
        return [(start, end, "name") for start, end in merged]

    def _cued(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of names after or before a cue."""
        for match in _STATED.finditer(text):
            end = match.start("name")
            for word in re.finditer(_NAME, match["name"]):
                second = end > match.start("name")
                if word[0].lower() in _NOT_NAMES or (second and not _is_last_name(match["name"], text[match.end() :])):
                    break
                end = match.start("name") + word.end()
            if end > match.start("name"):
                yield match.start("name"), end
        for match in _CUED.finditer(text):
            start, end = match.span(str(match.lastgroup))
            words = [
                word
                for word in _CAPITALISED.finditer(text, start, end)
                if word[0].lower() not in self._lower and word[0].lower() not in _NOT_NAMES
            ]
            if words and words[0].start() == start:
                yield start, words[-1].end()


def _is_last_name(words: str, rest: str) -> bool:
    """Whether the second word after "my name is" is a name: capitalised as the first one, or last in its sentence."""
    first, second = words.split()
    if first[0].isupper():
        return second[0].isupper()
    return not rest.strip() or rest.strip()[0] in ",.!?;"
