"""The page of a search: the winner and the cheapest, quality against cost, the rungs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nearfar.comparison.general import add_general
from nearfar.comparison.page import add_prompts
from nearfar.comparison.ranking import label
from nearfar.comparison.search_verdict import cost_in_words
from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page

if TYPE_CHECKING:
    from nearfar.comparison.ranking import Ranked
    from nearfar.comparison.request import Request
    from nearfar.comparison.result import Comparison
    from nearfar.comparison.search_verdict import Choice


def search_page(found: Comparison, choice: Choice, request: Request) -> Page:
    """The report of a search."""
    said, rows = found.metrics, found.metrics["rows"]
    page = Page(
        "Which configuration is best on this data?",
        f"{len(said['configurations'])} configurations, chosen on {rows['validation']:,} validation items, measured "
        f"once on {rows['evaluation']:,} evaluation items",
        [
            ("base models", ", ".join(str(model) for model in request.models)),
            ("training rows", f"{rows['training']:,}"),
            *((f"variant {name}", f"{each['training']:,} rows") for name, each in said.get("variants", {}).items()),
            ("task", said["task"]),
            ("seeds of the finalists", said["seeds"]),
            *((key, ", ".join(map(str, values))) for key, values in request.search.items()),
        ],
    )
    page.verdict(found.recommendation, "good" if choice.informative else "neutral")
    page.text(found.verdicts)
    _finalists(page, found, choice)
    _rungs(page, found)
    if "general" in said:
        add_general(page, said["general"])
    page.section("The data")
    for split in (said["split"], said["validation_split"]):
        if split is not None:
            page.text(split["says"])
    page.text(said["leaks"]["says"])
    page.section(
        "Method",
        "The winner and the cheapest model are chosen on the validation rows. The evaluation rows were read once, by "
        "the finalists and the base models. Cost is the time to encode a text; of equal times (up to one and a half "
        "times the least) the number of trained parameters. Intervals cover the variation over items and over runs.",
    )
    for note in found.notes:
        page.text(note)
    add_prompts(page, said)
    if found.failures:
        page.section("Failed")
        page.table(
            ["configuration", "seed", "last message", "log file"],
            [[each.recipe, each.seed, each.reason, str(each.log)] for each in found.failures],
        )
    absent = [fit for fit in found.fits if fit.reason is not None]
    if absent:
        page.section("Not compared")
        page.table(["recipe", "why"], [[label(fit.name), fit.reason] for fit in absent])
    if found.model is not None:
        page.section("Use it")
        page.code(f'import nearfar\n\nmodel = nearfar.load("{found.model}")')
    page.data("search", said)
    return page


def _finalists(page: Page, found: Comparison, choice: Choice) -> None:
    page.section("Finalists on the evaluation rows")
    costs = {row.name: row.cost for row in choice.ranking}
    points = {
        label(row.name): [(time, row.score.mean)]
        for row in found.ranking
        if (time := costs[row.name].ms_per_text) is not None
    }
    if points:
        page.figure(
            line_chart(
                points,
                title="Quality and cost",
                x_label="milliseconds to encode a text",
                y_label=found.metric,
                caption="Left is cheaper, up is better.",
            )
        )
    page.figure(
        dot_interval_chart(
            [label(row.name) for row in found.ranking],
            {found.metric: [Estimate(*row.score) for row in found.ranking]},
            title=f"{found.metric}, best first",
            x_label=f"{found.metric}, higher is better",
            caption="Whiskers are 95% intervals of each score.",
        )
    )
    chosen = {row.name: row for row in choice.ranking}
    page.table(
        ["configuration", f"{found.metric}, evaluation", "95% interval", f"{found.metric}, validation", "cost", ""],
        [_finalist(row, chosen[row.name], choice) for row in found.ranking],
    )


def _finalist(row: Ranked, validated: Ranked, choice: Choice) -> list[str]:
    mean, low, high = row.score
    marks = [what for what, name in (("winner", choice.winner), ("cheapest", choice.cheapest)) if name == row.name]
    cost = cost_in_words(validated)
    interval = f"{low:.3f}\u00a0to\u00a0{high:.3f}"
    return [label(row.name), f"{mean:.3f}", interval, f"{validated.score.mean:.3f}", cost, ", ".join(marks)]


def _rungs(page: Page, found: Comparison) -> None:
    rungs: Sequence[dict] = found.metrics["rungs"]
    page.section("All configurations on the validation rows")
    names = list(found.metrics["configurations"])
    page.table(
        ["configuration", *(f"rung {number}" for number in range(1, len(rungs) + 1)), "steps"],
        [
            [
                name,
                *(f"{rung['scores'][name]:.3f}" if name in rung["scores"] else "" for rung in rungs),
                ", ".join(f"{rung['steps'][name]:,}" for rung in rungs if name in rung["steps"]),
            ]
            for name in names
        ],
        caption=f"{found.metric}; an empty cell: the configuration did not go on.",
    )
