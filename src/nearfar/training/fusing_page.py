"""The page of a fusion whose weight was chosen: gain and loss at each weight, and the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nearfar.evaluation.result import metric_name
from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page, Tone

if TYPE_CHECKING:
    from nearfar.evaluation import Interval
    from nearfar.training.fusing_result import Choice

__all__ = ["effect_cells", "fusing_page", "verdict"]


def verdict(found: Choice) -> tuple[str, Tone]:
    """Which weight was chosen and what it does, in a sentence or two, and their tone."""
    gain, kept = map(metric_name, found.metrics)
    if found.weight is None:
        why = "no weight is within the limit" if not found.allowed else "no weight within the limit gains"
        return (
            f"No model was written: {why} (loss of at most {found.limit:g} in {kept} on the general set, by the 95% "
            f"interval). {_remedy(found)}",
            "bad",
        )
    chosen = found.reported[found.weight]
    text = (
        f"Weight {found.weight:g}: {gain} {_shown(chosen.gain)} on {found.items[0][1]:,} validation items, "
        f"{kept} {_shown(chosen.kept)} on {found.items[1][1]:,} items of the general set; none of these items chose."
    )
    whole = next(reversed(list(found.reported.values())))
    if whole.weight != found.weight:
        text += f" Weight {whole.weight:g}: {_shown(whole.gain)} and {_shown(whole.kept)}."
    return text, "good" if chosen.gain.low > 0 and chosen.kept.low >= -found.limit else "neutral"


def _remedy(found: Choice) -> str:
    """What may help: another limit only where a weight beyond this one gains."""
    if not found.allowed:
        return "Raise --limit, measure smaller weights, or pass a larger general set."
    if any(each.gain.mean > 0 for each in found.measured if each.weight not in found.allowed):
        return "Raise --limit, or pass a larger general set."
    return "No weight that was measured gains: train the checkpoints longer, or pass more validation rows."


def effect_cells(found: Choice) -> list[list[str]]:
    """A line for each weight: the weight, gain and change on the general set with intervals, and what was decided."""
    return [
        [
            f"{each.weight:g}",
            *(
                text
                for of in (each.gain, each.kept)
                for text in (f"{of.mean:+.3f}", f"{of.low:+.3f} to {of.high:+.3f}")
            ),
            "chosen" if each.weight == found.weight else "within the limit" if each.weight in found.allowed else "",
        ]
        for each in found.measured
    ]


def fusing_page(found: Choice, facts: Sequence[tuple[str, object]] = ()) -> Page:
    """The report of a fusion.

    Args:
        found: The choice.
        facts: Names and values: models, data, seed.
    """
    gain, kept = map(metric_name, found.metrics)
    page = Page("Fused within a limit of loss", f"Limit: {found.limit:g} in {kept} on the general set", facts)
    page.verdict(*verdict(found))
    page.section(
        "Gain and loss by weight",
        f"Compared with the base model (weight 0), on the {found.items[0][0]:,} validation items and the "
        f"{found.items[1][0]:,} items of the general set that choose. A weight is within the limit if the 95% interval "
        "of its change on the general set is above minus the limit, and so are those of all smaller weights.",
    )
    lines = {
        f"gain on validation rows ({gain})": [(0.0, 0.0), *((each.weight, each.gain.mean) for each in found.measured)],
        f"change on the general set ({kept})": [
            (0.0, 0.0),
            *((each.weight, each.kept.mean) for each in found.measured),
        ],
        "its lower bound": [(0.0, 0.0), *((each.weight, each.kept.low) for each in found.measured)],
        "the limit": [(0.0, -found.limit), (found.measured[-1].weight, -found.limit)],
    }
    title = "Gain and loss on the way from the base model to the fine-tuned one"
    page.figure(line_chart(lines, title=title, x_label="weight", y_label="change"))
    page.table(["weight", gain, "95% interval", f"{kept}, general set", "95% interval", ""], effect_cells(found))
    page.section(
        "On items that did not choose",
        f"{found.items[0][1]:,} validation items and {found.items[1][1]:,} items of the general set.",
    )
    page.figure(
        dot_interval_chart(
            [f"weight {weight:g}" for weight in found.reported],
            {
                f"gain ({gain})": [Estimate(*each.gain) for each in found.reported.values()],
                f"general set ({kept})": [Estimate(*each.kept) for each in found.reported.values()],
            },
            title="Change from the base model",
            x_label="change",
            caption="Whiskers are paired 95% bootstrap intervals over items.",
            reference=0.0,
        )
    )
    page.data("fusion", found.as_dict())
    return page


def _shown(of: Interval) -> str:
    return f"{of.mean:+.3f} (95% interval {of.low:+.3f} to {of.high:+.3f})"
