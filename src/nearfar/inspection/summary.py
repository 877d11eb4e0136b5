"""An inspection in words and in rows of a table, for the terminal and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.inspection.measures import MEASURES
from nearfar.reports.numbers import fixed

if TYPE_CHECKING:
    from nearfar.inspection.records import Confusion
    from nearfar.inspection.result import Inspection
    from nearfar.reports.tables import Cell


def verdict(found: Inspection) -> str:
    """The main counts in one sentence; it does not judge, because what is good depends on the use."""
    asking, repeating = ("query", "document") if found.schema == "retrieval" else ("row", "row")
    parts = []
    share = found.measures["false_negative_share"]
    if share is not None:
        has, its = ("has", "its") if found.false_negative_rows == 1 else ("have", "their")
        parts.append(
            f"{counted(found.false_negative_rows, asking)} ({share:.1%}) {has} a non-matching item ranked above {its} "
            f"positive ({candidates(found)})"
        )
    confused = found.measures["confused_share"]
    if confused is not None:
        is_, its = ("is", "its") if found.confused_rows == 1 else ("are", "their")
        most = f", most often {_named(found.confusions[0])}" if found.confusions else ""
        parts.append(
            f"{counted(found.confused_rows, asking)} ({confused:.1%}) {is_} closer to a row of another label than to "
            f"any of {its} own{most}"
        )
    parts.append(f"{counted(found.near_duplicate_count, 'near-duplicate pair')} (cosine >= {found.threshold:g})")
    repeat = "repeats" if found.repeated == 1 else "repeat"
    parts.append(f"{counted(found.repeated, repeating)} {repeat} an earlier {repeating}")
    parts.append(f"effective rank {found.measures['effective_rank']:.0f} of {found.dims} dimensions")
    return f"{'; '.join(parts)}."


def leakage(found: Inspection) -> str | None:
    """What the views of a model have in common, in one sentence; None for other models."""
    if found.views is None or found.views.leakage is None:
        return None
    of = found.views.leakage
    return (
        f"The views share {figure(of.nats)} nats ({figure(of.shuffled)} if items are shuffled, {figure(of.most)} at "
        f"most); the first explains {of.explained:.1%} of the variance of the second."
    )


def candidates(found: Inspection) -> str:
    """How many candidates for false negatives something supports, and how many are one model's opinion."""
    alone = found.false_negative_rows - found.likely_rows
    if not found.likely_rows:
        return "possible false negatives" + (", but only one model's opinion" if alone else "")
    by = "duplicates or labels" if found.models == 1 else "duplicates, labels or both models"
    likely = f"{counted(found.likely_rows, 'likely false negative')}, supported by {by}"
    return f"{likely}; {alone:,} only one model's opinion" if alone else likely


def _named(pair: Confusion) -> str:
    first, second = pair.labels
    return f"{first} and {second} ({pair.rows:,} of {pair.of:,} rows)"


def measure_rows(found: Inspection) -> list[list[Cell]]:
    """For each measure that there is: name, value, (with `against`: its value, the difference,) meaning.

    A difference has a 95% interval where the measure is a mean or a correlation over items.
    """
    rows: list[list[Cell]] = []
    for key, measure in MEASURES.items():
        value = found.measures[key]
        other = None if found.against is None else found.against.measures[key]
        if value is None and other is None:
            continue
        row: list[Cell] = [measure.name, figure(value)]
        if found.against is not None:
            row += [figure(other), _difference(found, key, value, other)]
        rows.append([*row, measure.meaning])
    return rows


def counted(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`, `2 queries`."""
    plural = f"{noun.removesuffix('y')}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def figure(value: float | None) -> str | None:
    """A number with three decimals, or one from 10 on."""
    return None if value is None else fixed(value, 1 if abs(value) >= 10 else 3)


def _difference(found: Inspection, key: str, value: float | None, other: float | None) -> str | None:
    interval = found.differences.get(key)
    if interval is not None:
        return f"{_signed(interval.mean)} [{_signed(interval.low)}, {_signed(interval.high)}]"
    return None if value is None or other is None else _signed(other - value)


def _signed(value: float) -> str:
    return f"+{figure(value)}" if value > 0 else str(figure(value))
