"""What makes a written line useless as a question for a passage, as far as the two texts alone can tell."""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher
from unicodedata import name

__all__ = ["ABOUT", "COPIED", "EMPTY", "REFUSAL", "SCRIPT", "copied_fraction", "fault", "question_key"]

#: Reasons why a question is dropped.
EMPTY, REFUSAL, ABOUT, COPIED, SCRIPT = "empty", "refusal", "about the text itself", "copied", "other script"

#: A script has to have this fraction of the letters of a passage to be one of its scripts.
_SHARE = 0.1
# A word; in scripts without spaces, a character.
_WORD = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_]+")
_CANNOT = r"(?:cannot|can't|can not|could not|couldn't|won't|am (?:not able|unable) to|'m (?:not able|unable) to)"
_REFUSAL = re.compile(
    r"i'?m sorry|i am sorry|sorry, (?:but )?i|i apologi[sz]e|as an? (?:large )?(?:ai|language model)\b"
    rf"|(?:unfortunately, )?i ?{_CANNOT} "
    r"(?:help|assist|provide|write|generate|create|answer|fulfil|comply|do (?:that|this))"
    r"|(?:sure|certainly|of course)[,!.:]|here(?: is| are|'s)\b[^?]*:$|(?:no question|no answer|n/a|none)\.?$",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"\b(?:(?:the|this|that) (?:given |above |following )?(?:passage|paragraph|excerpt|text)|the above)\b(?! of\b)"
    r"|\baccording to the (?:author|article|document|study)s?\b",
    re.IGNORECASE,
)


def fault(question: str, passage: str, max_copied: float = 1.0) -> str | None:
    """Why a question is of no use for training; None if nothing is found.

    Refusals, and questions about "the passage" itself, are recognised in English only.

    Args:
        question: The question.
        passage: The passage that it was written for.
        max_copied: Maximum of `copied_fraction`.
    """
    if not words(question):
        return EMPTY
    if _REFUSAL.match(question.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        return REFUSAL
    if _ABOUT.search(question):
        return ABOUT
    if (scripts := _scripts(passage)) and not _scripts(question, largest=True) <= scripts:
        return SCRIPT
    return COPIED if copied_fraction(question, passage) > max_copied else None


def copied_fraction(question: str, passage: str) -> float:
    """The fraction of a question's words that stand in the passage in the same order without a gap, 0 to 1.

    Case and punctuation are ignored; in scripts without spaces, characters count as words.
    """
    asked, given = words(question), words(passage)
    if not asked:
        return 0.0
    return SequenceMatcher(None, asked, given, autojunk=False).find_longest_match().size / len(asked)


def question_key(question: str) -> str:
    """What equal questions have in common: their words in order, without case and punctuation."""
    return " ".join(words(question))


def words(text: str) -> list[str]:
    """The words of a text in lower case; in scripts without spaces, the characters."""
    return _WORD.findall(text.casefold())


def _scripts(text: str, largest: bool = False) -> set[str]:
    """The scripts of a text's letters, such as LATIN or CYRILLIC: those with a certain share, or the most frequent."""
    letters = [each for each in text if each.isalpha()]
    counts = Counter(_script(each) for each in letters)
    if largest:
        return {script for script, _ in counts.most_common(1)}
    return {script for script, count in counts.items() if count >= _SHARE * len(letters)}


def _script(letter: str) -> str:
    script = name(letter, "OTHER").split()[0].split("-")[0]
    # Japanese texts mix these.
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "HALFWIDTH", "FULLWIDTH", "IDEOGRAPHIC") else script
