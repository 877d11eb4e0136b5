"""Dates and times as people and programs write them, and the order that values of a column state."""

# ruff: noqa: RUF001 - other scripts have characters that look like Latin ones
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timezone
from itertools import pairwise

_MONTHS = """
jan january januar januari janvier janv enero ene janeiro gennaio gen ocak oca янв января stycznia sty
feb february februar februari février févr fév febrero fevereiro fev febbraio şubat şub фев февраля lutego lut
mar march märz mär maart mrt mars marzo março mart марта мар marca
apr april avril avr abril abr aprile nisan nis апр апреля kwietnia kwi
may mai maj mei mayo maio maggio mag mayıs мая maja
jun june juni juin junio junho giugno giu haziran haz июня июн czerwca cze
jul july juli juillet juil julio julho luglio lug temmuz tem июля июл lipca lip
aug august augustus augusti août agosto ago ağustos ağu авг августа sierpnia sie
sep sept september septembre septiembre setembro set settembre eylül eyl сен сент сентября września wrz
oct october oktober okt octobre octubre outubro out ottobre ott ekim eki окт октября października paź
nov november novembre noviembre novembro kasım kas ноя нояб ноября listopada lis
dec december dezember dez décembre déc diciembre dic dezembro dicembre desember aralık ara дек декабря grudnia gru
"""
_MONTH = {name: number for number, line in enumerate(_MONTHS.strip().split("\n"), 1) for name in line.split()}
_NAME = rf"(?i:{'|'.join(sorted(_MONTH, key=len, reverse=True))})\b\.?"
_WITH_NAME = (
    rf"(?:\d{{1,2}}\.?[ -](?:de )?{_NAME},?[ -](?:de )?\d{{2,4}}|"
    rf"{_NAME} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})(?!\d)"
)
# Digits of every script: Arabic chats have their own.
DATE = (
    r"(?:\d{1,4}(?:[-./] ?|年 ?|년 ?)\d{1,2}(?:[-./] ?|月 ?|월 ?)\d{1,4}(?:日|일|\.(?= )| ?г\.)?" + rf"|{_WITH_NAME})"
)
# Before or after noon: AM, a.m., a. m., and in Chinese, Japanese, Korean, Arabic and Greek.
_BEFORE = ("am", "上午", "凌晨", "早上", "午前", "오전", "ص", "πμ")
_AFTER = ("pm", "下午", "中午", "晚上", "午後", "오후", "م", "μμ")
# In languages whose words could be parts of others, or names: only a clock with nothing else is read with them.
_BEFORE_ALONE = ("öö", "पूर्वाह्न", "sa", "pg", "de", "дп", "fm", "ap", "vorm", "ก่อนเที่ยง", "قظ", "পূর্বাহ্ণ")
_AFTER_ALONE = ("ös", "अपराह्न", "ch", "ptg", "du", "пп", "em", "ip", "nachm", "หลังเที่ยง", "بظ", "অপরাহ্ণ")
_NEUTRAL = ("", "z", "t", "h", "ч", "uhr", "kl", "klo", "um", "à", "at")
NOON = (
    r"(?:[AaPp]\.? ?[Mm]\b\.?|[πμ]\. ?μ\.|ص(?!\w)|م(?!\w)|"
    r"上午|凌晨|早上|下午|中午|晚上|午前|午後|오전|오후)"
)
CLOCK = rf"(?:{NOON} ?)?\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?:[.,]\d{{1,6}})?(?: ?{NOON})?(?:Z|[+-]\d{{2}}:?\d{{2}})?"
_NUMBERS, _WORDS = re.compile(r"\d+"), re.compile(r"[^\W\d_]+")
_DATE_IN, _CLOCK_IN = re.compile(rf"(?<!\d){DATE}"), re.compile(CLOCK)
_FRACTION = re.compile(r"\.(\d+)")
_NUMBERED = re.compile(r"(.*?)(\d+)")
_CLOCK_PARTS = re.compile(r"(\d+)[:.](\d{2})(?:[:.](\d{2}))?(?:[.,](\d{1,6}))?")
DAY = 86_400.0

Date = tuple[int, int, int]
#: Year, month and day of three numbers, in the orders that people write them.
_ORDERS: tuple[Callable[[Date], Date], ...] = (
    lambda found: found,
    lambda found: (found[2], found[1], found[0]),
    lambda found: (found[2], found[0], found[1]),
)


# Columns and keys that state the order of turns, by their common names, without case, spaces and marks.
_TURN = ("turnid", "turnindex", "turnidx", "turnnumber", "turnnum", "turnno", "turnorder", "turn", "utteranceid")
_TURN += ("utteranceindex", "utterancenumber", "messageindex", "messagenumber", "seq", "sequence", "sequencenumber")
_TIME = ("time", "timestamp", "ts", "datetime", "createdat", "sentat", "starttime", "start", "senttime", "messagetime")
_STATING = {"turn_id": _TURN, "time": _TIME, "date": ("date", "day", "messagedate")}


def stating_order(names: Iterable[str]) -> dict[str, str]:
    """The columns or keys that state the order of turns: `turn_id`, `time` and `date` -> the name in the file."""
    by_name = {re.sub(r"[\W_]", "", name.casefold()): name for name in reversed(list(names))}
    found = {}
    for key, aliases in _STATING.items():
        column = next((by_name[alias] for alias in aliases if alias in by_name), None)
        if column is not None:
            found[key] = column
    return found


def seconds(clock: str) -> float:
    """Seconds since midnight, or since the beginning of a call: `10:31`, `1:02:03.5`, `12:05 a. m.`.

    A time zone is ignored: a log is written in the zone of who wrote it.
    """
    found = _CLOCK_PARTS.search(clock)
    if found is None:
        return 0.0
    first, second, third, fraction = found.groups()
    parts = [int(first), int(second)] if third is None else [int(first), int(second), int(third)]
    mark = _mark(clock)
    if (mark in _AFTER_ALONE or any(word in mark for word in _AFTER)) and parts[0] < 12:
        parts[0] += 12
    elif (mark in _BEFORE_ALONE or any(word in mark for word in _BEFORE)) and parts[0] == 12:
        parts[0] = 0
    whole = parts[0] * 3600 + parts[1] * 60 + (parts[2] if len(parts) == 3 else 0)
    return whole + (float("0." + str(int(fraction)).zfill(len(fraction))) if fraction else 0.0)


def is_known(clock: str) -> bool:
    """Whether all words of a clock are known: an unknown one may say that it is after noon."""
    mark = _mark(clock)
    return mark in (*_NEUTRAL, *_BEFORE_ALONE, *_AFTER_ALONE) or any(word in mark for word in (*_BEFORE, *_AFTER))


def _mark(clock: str) -> str:
    return re.sub(r"[\s.\d:,+-]", "", clock).casefold()


def date_numbers(text: str) -> Date:
    """The three numbers of a date in the order of the file; year, month and day if it contains the month's name."""
    numbers = [int(number) for number in _NUMBERS.findall(text)[:3]]
    month = next((_MONTH[word] for word in _WORDS.findall(text.casefold()) if word in _MONTH), None)
    if month is not None:
        day, year = numbers[:2]
        return year + 2000 * (year < 100), month, day
    return numbers[0], numbers[1], numbers[2]


def moments(dates: Sequence[Date | None], clocks: Sequence[float]) -> list[float]:
    """Times that can be compared, from dates whose order of day and month the file does not say.

    Of the orders in which every date exists, the one is taken that agrees best with the order of the lines.

    Args:
        dates: One for each turn; None for a time alone, which may pass midnight between two turns.
        clocks: Seconds since midnight.
    """
    if any(day is None for day in dates):
        return _past_midnight(clocks)
    best: list[float] | None = None
    fewest = len(clocks) + 1
    for order in _ORDERS:
        days = [_ordinal(order(day)) for day in dates if day is not None]
        if None in days:
            continue
        found = [day * DAY + clock for day, clock in zip(days, clocks, strict=True) if day is not None]
        falls = sum(b < a for a, b in pairwise(found))
        if falls < fewest:
            best, fewest = found, falls
    return best if best is not None else [float(number) for number in range(len(clocks))]


def _ordinal(day: Date) -> int | None:
    year, month, number = day
    if year < 100:
        year += 2000
    elif year < 1000:
        return None
    try:
        # Not every calendar has the same years, and they only need to be in order.
        return date(min(year, 9999), month, number).toordinal()
    except ValueError:
        return None


def _past_midnight(clocks: Sequence[float]) -> list[float]:
    """Times of day that fall by more than half a day belong to the next day."""
    found: list[float] = []
    days = 0
    for number, clock in enumerate(clocks):
        if number and clocks[number - 1] - clock > DAY / 2:
            days += 1
        found.append(days * DAY + clock)
    return found


def iso_seconds(text: str) -> float | None:
    """Seconds of a date and time in ISO 8601; None if it is none. Times without a zone count as UTC."""
    text = text.strip().replace("Z", "+00:00")
    try:
        # Python 3.10 takes three or six digits of a second.
        found = datetime.fromisoformat(_FRACTION.sub(lambda part: "." + part[1][:6].ljust(6, "0"), text))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()


def order_of(values: Sequence[str | None]) -> list[float] | None:
    """Numbers in the order that texts state: numbers, times, or names that end in a number; None if they state none."""
    texts = [value.strip() for value in values if value is not None and value.strip()]
    if len(texts) < len(values):
        return None
    for parse in (_number, iso_seconds):
        found = [parse(text) for text in texts]
        if None not in found:
            return [value for value in found if value is not None]
    days = [_DATE_IN.search(text) for text in texts]
    clocks = [_CLOCK_IN.search(_DATE_IN.sub(" ", text)) for text in texts]
    dated, timed = all(days), all(clocks)
    if timed and (dated or not any(days)):
        return moments([day and date_numbers(day[0]) for day in days], [seconds(c[0]) for c in clocks if c])
    if dated and not any(clocks):
        return moments([day and date_numbers(day[0]) for day in days], [0.0] * len(days))
    ends = [_NUMBERED.fullmatch(text) for text in texts]
    if all(ends) and len({end[1] for end in ends if end}) == 1:
        return [float(end[2]) for end in ends if end]
    return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value else None
