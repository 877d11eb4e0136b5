"""What numbers, times, dates, amounts, e-mail addresses, links and codes look like in an utterance.

Digits, times and amounts in digits are recognised in any language, words in English. A single "one" or "oh" is not a
number ("that one", "oh, I see") unless it is all that is said, and an ordinal is only a date with a month or after "on
the".
"""

# ruff: noqa: RUF001 - apostrophes and dashes of typesetting
from __future__ import annotations

import re

Span = tuple[int, int, str]
"""Start, end and kind of a slot."""

_UNITS = "zero|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_WORDS = f"{_UNITS}|{_TEENS}|{_TENS}|hundred|thousand|million"
_UNSURE = ("one", "oh", "o", "double", "triple")
"""Numbers only beside others."""
_DIGITS = r"\d+(?:[.,:/]\d+)*"
_ANY = f"{_DIGITS}|(?:{_WORDS}|{'|'.join(_UNSURE)})"
_COUNT = rf"(?:{_DIGITS}|(?:one|{_WORDS})(?:[\s-](?:and\s)?(?:one|{_WORDS}))*)"

_HOUR = r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_MINUTE = rf"(?:\d{{2}}|oh\s\w+|(?:{_TEENS}|{_TENS})(?:[\s-](?:one|{_UNITS}))?)"
_HALF_DAY = (
    r"(?:[ap]\.?\s?m\b\.?|o['’]?\s?clock(?:\s[ap]\.?\s?m\b\.?)?|uhr|in\sthe\s(?:morning|afternoon|evening|night))"
)
_TIME = rf"""
      \d{{1,2}}[:h]\d{{2}}(?::\d{{2}})?(?:\s?{_HALF_DAY})?
    | {_HOUR}(?:[:.\s]{_MINUTE})?\s?{_HALF_DAY}
    | (?:(?:half|quarter|five|ten|twenty|\d{{1,2}})\spast|quarter\sto)\s{_HOUR}(?:\s?{_HALF_DAY})?
    | noon|midnight|midday
"""

_FULL = "january|february|april|june|july|august|september|october|november|december"
_MONTH = f"(?:{_FULL}|march|may|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\\b\\.?)"
_ORDINAL = (
    r"(?:\d{1,2}(?:st|nd|rd|th)|(?:(?:twenty|thirty)[\s-])?"
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)"
    r"|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth"
    r"|thirtieth)"
)
_DAY = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_DATE = rf"""
      \d{{4}}-\d{{1,2}}-\d{{1,2}} | \d{{1,2}}(?P<mark>[./-])\d{{1,2}}(?P=mark)(?:\d{{4}}|\d{{2}})
    | (?:the\s)?(?:{_ORDINAL}|\d{{1,2}})\s(?:of\s)?{_MONTH}(?:,?\s\d{{4}})?
    | {_MONTH}\s(?:the\s)?(?:{_ORDINAL}|\d{{1,2}}(?!\d|:|\s?[ap]\.?m))(?:,?\s\d{{4}})?
    | {_MONTH}\s\d{{4}} | (?:{_FULL})
    | (?<=\bon\s)the\s{_ORDINAL} | (?<=\buntil\s)the\s{_ORDINAL} | (?<=\bfrom\s)the\s{_ORDINAL}
    | (?:(?:next|this|last|coming)\s)?(?:{_DAY})s?
    | (?:the\sday\safter\s)?tomorrow | today | tonight | yesterday
    | (?:next|this|last)\s(?:week|weekend|month|year)
"""

_SIGN = "[$€£¥₹]"
_CURRENCY = "dollars?|bucks|euros?|pounds|cents?|rupees|francs|yen|usd|eur|gbp|chf|inr"
_AMOUNT = rf"{_SIGN}\s?{_DIGITS}(?:\s(?:{_CURRENCY}))? | {_COUNT}\s?(?:{_SIGN}|(?:{_CURRENCY})\b)"

# Letters and digits in turn, or a few letters and at least three digits.
_CODE = r"""
      (?=\w*\d[^\W\d_]+\d|\w*[^\W\d_]\d+[^\W\d_])(?!\d+(?:st|nd|rd|th)\b)\w{4,}(?:-\w+)*
    | [^\W\d_]{1,4}-?\d{3,}\w*
"""
# Numbers and single letters one after the other; what they are together is decided by `_run_kind`.
_LETTER = "[a-z]"
_RUN = rf"""
    [+#(]{{0,2}}(?:{_ANY}|{_LETTER})(?![^\W\d_])
    (?:(?:[\s.,()/-]{{1,3}}|(?<=hundred)\sand\s|(?<=thousand)\sand\s)
       (?!(?:{_TIME}|{_DATE.replace("<mark>", "<again>").replace("=mark", "=again")}|{_AMOUNT})(?![\w]))
       (?:{_ANY}|{_LETTER})(?![\w'’]))*
    (?:\s?%|\spercent\b)?
"""

_SLOT = re.compile(
    rf"""
    (?:
        (?P<time>{_TIME}) | (?P<date>{_DATE}) | (?P<amount>{_AMOUNT}) | (?P<code>{_CODE}) | (?P<run>{_RUN})
    )(?![\w'’])
    | (?P<amount_>{_SIGN}\s?{_DIGITS})
    | (?P<number>\d+(?=(?:x|k|kg|km|lb|lbs|gb|mb|min|mins|hrs?|h|m|cm|mm|ml|l)?\b))
    """,
    re.VERBOSE,
)
_ADDRESS = re.compile(
    r"""
    (?<![\w'’])(?:
        (?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+
          | \w+(?:\s(?:dot|underscore|\w)\b)*\sat\s\w+\sdot\s(?:com|org|net|edu|gov|info|co\sdot\suk))
      | (?P<link>(?:https?://|www\.)[^\s<>]*[^\s<>.,;:!?)])
    )(?![\w'’])
    """,
    re.VERBOSE,
)
_ADDRESS_MARKS = ("@", " dot ", "://", "www.")
# Where a slot may begin; the long pattern is tried only there.
_START = re.compile(rf"(?<![\w'’])[+#(]{{0,2}}(?:{_SIGN}\s?)?\w+(?:-(?=\d))?")
_FIRST = frozenset(
    f"{_WORDS}|{_FULL}|{_DAY}|march|may|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|next|this|last|coming|the|half"
    "|quarter|noon|midnight|midday|today|tonight|tomorrow|yesterday|first|second|third|fourth|fifth|sixth|seventh|eighth"
    f"|ninth|tenth|eleventh|twelfth|{'|'.join(_UNSURE)}".split("|")
)
_ITEM = re.compile(r"\d[\d.,:/]*|[^\W\d_]+")


def spans(text: str) -> list[Span]:
    """The slots of a text, except names, in order and without overlap."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capitals become two characters
        lower = text
    found = []
    if any(mark in lower for mark in _ADDRESS_MARKS):
        found += [(*match.span(), str(match.lastgroup)) for match in _ADDRESS.finditer(lower)]
    addresses, end = list(found), 0
    for start in _START.finditer(lower):
        at, word = start.start(), start[0]
        if at < end or not (word in _FIRST or len(word) == 1 or word[-1] == "-" or any(map(str.isdigit, word))):
            continue
        if any(a <= at < b for a, b, _ in addresses):
            continue
        match = _SLOT.match(lower, at)
        if match is None:
            continue
        kind, end = str(match.lastgroup).rstrip("_"), match.end()
        found += _run(lower, at, end) if kind == "run" else [(at, end, kind)]
    return sorted(found)


def _run(text: str, start: int, end: int) -> list[Span]:
    """A run of numbers and single letters as a number or a code, without words at its ends that may be neither."""
    items = [match.span() for match in _ITEM.finditer(text, start, end)]
    words = [text[a:b] for a, b in items]
    whole = not re.search(r"\w", text[:start] + text[end:])
    # "a 2 ...", "... 5 i", "oh two people"
    while words and words[0] in ("a", "i", *(() if whole or len(words) > 2 else ("oh", "o"))):
        del words[0], items[0]
    while words and words[-1] in ("a", "i"):
        del words[-1], items[-1]
    if words and words[-1] == "percent":
        del words[-1]
    letters = sum(len(word) == 1 and word.isalpha() and word != "o" for word in words)
    sure = sum(word not in _UNSURE for word in words) - letters
    numbers = len(words) - letters
    if letters and (len(words) < 3 or (not numbers and letters < 3)):
        return [(a, b, "number") for (a, b), word in zip(items, words, strict=False) if _is_number(word)]
    if letters:
        return [(items[0][0], items[-1][1], "code")]
    if words and (sure or len(words) > 1 or whole):
        # The marks at both ends belong to it: "(408) 247", "+41", "5%".
        first = items[0][0] if re.search(r"\w", text[start : items[0][0]]) else start
        last = end if text[items[-1][1] : end].strip() in ("%", ")") else items[-1][1]
        return [(first, last, "number")]
    return []


def _is_number(word: str) -> bool:
    return word[0].isdigit() or (len(word) > 1 and word not in _UNSURE)
