"""Which words before a colon are speakers: "Anna: hi" is a turn, "Order number: 555" a line of one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from nearfar.data.times import DATE
from nearfar.dialogue.formats.words import LABEL_ENDINGS, LABELS, PARTICLES, ROLES

MOST_WORDS, MOST_CHARACTERS = 5, 60

_WORDS = re.compile(r"[\s_/()\[\]-]+")
# What contains a time or a date is a line that was not understood, not a name.
_DATED = re.compile(rf"\d:\d\d|(?<![\d+]){DATE}(?!\d)")
_AFTER_BRACKETS = re.compile(r"[\[(<][^\])>]*[\])>] ?\w")
_PHONE = re.compile(r"\+\d[\d ()-]{4,20}")


@dataclass
class Names:
    """Names before colons in files, and which of them are speakers.

    Args:
        known: Names that the user gave as speakers, case-folded.
    """

    known: Collection[str] = ()
    counts: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    first: Counter[str] = field(default_factory=Counter)
    timed: Counter[str] = field(default_factory=Counter)
    worded: Counter[str] = field(default_factory=Counter)
    joined: Counter[str] = field(default_factory=Counter)
    spellings: dict[str, str] = field(default_factory=dict)
    _speakers: frozenset[str] | None = None

    def add_file(self, found: list[tuple[str, str, bool, bool]]) -> None:
        """Count the names of one file.

        Args:
            found: For each line with a colon: the name, the text after the colon, whether a time is beside the name,
                and whether the colon has a space after it.
        """
        here = Counter[str]()
        for number, (name, text, timed, spaced) in enumerate(found):
            key = name.casefold()
            self.spellings.setdefault(key, name)
            here[key] += 1
            self.first[key] += number == 0
            self.timed[key] += timed
            self.worded[key] += any(character.isalpha() for character in text) or not text
            self.joined[key] += not spaced
        self.counts.update(here)
        self.files.update(here.keys())
        for key, count in here.items():
            self.most[key] = max(self.most[key], count)
        self._speakers = None

    def is_speaker(self, name: str) -> bool:
        """Whether lines that begin with this name are turns."""
        if self._speakers is None:
            self._speakers = frozenset(self._elected())
        return name.casefold() in self._speakers

    def say_no_words(self, names: Collection[str]) -> list[str]:
        """Names whose texts are all without letters, if others have some: "Milk: 2"."""
        wordless = sorted(name for name in names if not self.worded[name.casefold()] and not is_role(name))
        return wordless if 0 < len(wordless) < len(names) else []

    def _elected(self) -> set[str]:
        sure = {key for key in self.counts if key in self.known or is_role(self.spellings[key]) or self.timed[key]}
        sure |= {key for key in self.counts if self.most[key] > 1 and not self._label(key)}
        # Where names begin with capitals, a word in lower case is the beginning of a phrase.
        capitals = {key for key in (sure or self.first.keys()) if self.spellings[key][0].isupper()}
        roles_only = all(is_role(self.spellings[key]) for key in sure)
        if len(sure) > 1:
            doubtful = self.counts.keys() - sure
            # Where roles speak, other words are facts; else a name that is heard once may be a guest.
            return sure | (set() if roles_only else {key for key in doubtful if self._may_speak(key, bool(capitals))})
        plain = sure | {key for key in self.counts if self._may_speak(key, bool(capitals))}
        if len(plain) > 1 or self.counts.total() == len(plain):
            return plain
        # Where only labels are found ("From: Anna", "Subject: hi"), nobody is known to speak.
        return {key for key in self.counts if not is_label(self.spellings[key])}

    def _label(self, key: str) -> bool:
        return is_label(self.spellings[key]) or (self.joined[key] == self.counts[key] and self.most[key] < 2)

    def _may_speak(self, key: str, capitals: bool) -> bool:
        name = self.spellings[key]
        if capitals and name[0].islower():
            return False
        # In every file once and never first: a field of a form.
        of_a_form = self.files[key] > 2 and not self.first[key] and any(self.most[other] > 1 for other in self.most)
        return not (self._label(key) or in_sentence_case(name) or not self.worded[key] or of_a_form)


def is_name(text: str) -> bool:
    """Whether a text before a colon may name a speaker: a few words, not only digits and marks."""
    if not 0 < len(text) <= MOST_CHARACTERS or len(text.split()) > MOST_WORDS or "://" in text:
        return False
    if _DATED.search(text) or (_AFTER_BRACKETS.match(text) and not is_role(text)):
        return False
    if _PHONE.fullmatch(text):
        return True
    return any(character.isalpha() or unicodedata.category(character) == "So" for character in text)


def is_role(name: str) -> bool:
    """Whether a name contains a role: `Agent`, `Agent 2`, `Customer Anna`, but not `Customer number`."""
    words = [word for word in _WORDS.split(name) if word]
    others = [word for word in words if not _has(word, ROLES)]
    if len(others) == len(words) or (others and is_label(name)):
        return False
    return all(not word[0].islower() for word in others)


def is_label(name: str) -> bool:
    """Whether a name is like a field of a form: `Order number`, `Total`, `Step 2`, `Option B`."""
    words = [word for word in _WORDS.split(name) if word]
    if len(words) > 1 and len(words[-1]) < 3 and not _has(words[-1], LABELS):
        words.pop()
    return bool(words) and (_has(words[-1], LABELS) or words[-1].casefold().endswith(LABEL_ENDINGS))


def in_sentence_case(name: str) -> bool:
    """Whether a word after the first is written in lower case, as in phrases: `Best regards from me`."""
    return any(word[0].islower() and word not in PARTICLES for word in name.split()[1:])


def _has(word: str, words: Collection[str]) -> bool:
    bare = word.strip("#.*~").casefold()
    return bare in words or bare.rstrip("0123456789") in words
