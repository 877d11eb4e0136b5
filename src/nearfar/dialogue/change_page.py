"""What changed between two logs, for the workflow page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nearfar.dialogue.change.comparing import LEVEL, RESAMPLES

if TYPE_CHECKING:
    from nearfar.dialogue.graph import Edge
    from nearfar.dialogue.result import Flow

STEPS = 30_000
"""Maximum number of distinct steps on the page, for each selection of speakers."""
_RATES = 5000
"""Maximum number of rates on the page; of more, those that changed least are only in the JSON."""


def counted_steps(counts: Mapping[Edge, int]) -> tuple[list[list[int]], int]:
    """Steps as [from, to, count], and how many of the rarest were omitted because there are too many for a page."""
    steps = sorted(counts.items(), key=lambda step: (-step[1], step[0]))[:STEPS]
    return [[a, b, count] for (a, b), count in sorted(steps)], len(counts) - len(steps)


def change_data(flow: Flow) -> dict[str, Any] | None:
    """The comparison for the page's scripts; None if there is none."""
    change = flow.change
    if change is None:
        return None
    views = {"all": counted_steps(change.before.counts())[0]}
    if len(flow.log.speakers) > 1:
        views |= {str(i): counted_steps(change.before.counts(i))[0] for i in range(len(flow.log.speakers))}
    rates = [
        [
            rate.node,
            rate.target,
            rate.kind,
            *rate.counts,
            *map(_short, (rate.before, rate.after, rate.low, rate.high, rate.p)),
        ]
        for rate in change.rates[:_RATES]
    ]
    return {"views": views, "rates": rates, "added": sorted(change.added)}


def change_words(flow: Flow) -> dict[str, str] | None:
    """The sentences about the comparison on the page; None if there is none."""
    change = flow.change
    if change is None:
        return None
    found = change.significant
    actions = [rate for rate in found if rate.target is None]
    kinds = [f"{sum(rate.kind == kind for rate in actions):,} {kind}" for kind in ("new", "gone", "more", "less")]
    tested = sum(rate.p is not None for rate in change.rates)
    summary = (
        f"{len(change.before.log):,} dialogues before, {len(flow.log):,} after. Actions: {', '.join(kinds)}. "
        f"Steps with another probability: {len(found) - len(actions):,}."
    )
    method = (
        f"{tested:,} shares were tested together: if nothing had changed, the probability of any mark would be at most "
        f"{LEVEL:.0%} (step-down maxT over {RESAMPLES:,} random assignments of dialogues). Intervals: bootstrap over "
        f"dialogues, each for itself."
    )
    if len(change.rates) > _RATES:
        method += f" The first {_RATES:,} of {len(change.rates):,} shares; the .json has all."
    return {"summary": summary, "method": method}


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
