"""The page of a comparison: recommendation, ranking with intervals, cost, and recipes that were not compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nearfar.comparison.budget import UNEQUAL
from nearfar.comparison.general import add_general
from nearfar.comparison.ranking import BASE, in_words, label
from nearfar.models.prompts import quoted
from nearfar.reports.charts.bars import bar_chart
from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.reports.page import Page, Tone
from nearfar.reports.tables import Cell

if TYPE_CHECKING:
    from nearfar.comparison.ranking import Against, Ranked
    from nearfar.comparison.result import Comparison

_MIB = 2**20


def comparison_page(found: Comparison, facts: Mapping[str, Any]) -> Page:
    """The report of a comparison.

    Args:
        found: The finished comparison.
        facts: `data`, `variants`, `evaluation`, `model` and `options` as they were given.
    """
    said, rows = found.metrics, found.metrics["rows"]
    page = Page(
        "Which recipe and training rows are best?" if facts["variants"] else "Which recipe is best on this data?",
        f"{_counted(found)} with the same {_shared(found.notes)}, evaluated on the same {rows['evaluation']:,} items",
        [
            ("model", _source(facts["model"])),
            ("data", _source(facts["data"])),
            *((f"variant {name}", _source(source)) for name, source in facts["variants"].items()),
            ("evaluation data", "held-out groups" if facts["evaluation"] is None else _source(facts["evaluation"])),
            ("training rows", f"{rows['training']:,}"),
            ("task", said["task"]),
            ("seeds", said["seeds"]),
            ("baseline", label(found.baseline)),
        ],
    )
    better = said["recommended"] not in (BASE, None)
    tone: Tone = "good" if better else "neutral"
    page.verdict(found.recommendation, tone)
    page.text(found.verdicts)
    _ranking(page, found)
    if "general" in said:
        add_general(page, said["general"])
    _cost(page, found)
    _left_out(page, found)
    page.section("The data")
    if said["split"] is not None:
        page.text(said["split"]["says"])
    page.text(said["leaks"]["says"])
    _how(page, found, facts["options"])
    if found.model is not None:
        page.section("Use it")
        page.code(f'import nearfar\n\nmodel = nearfar.load("{found.model}")')
    page.data("comparison", said)
    return page


def add_prompts(page: Page, metrics: Mapping[str, Any]) -> None:
    """The prompts of each model in the evaluation, if there are any."""
    if prompts := metrics.get("prompts"):
        page.table(["model", "prompts in the evaluation"], [[label(name), quoted(of)] for name, of in prompts.items()])


def _counted(found: Comparison) -> str:
    count = len([row for row in found.ranking if row.name != BASE])
    return f"{count} {'model' if 'variants' in found.metrics else 'recipe'}{'s' if count != 1 else ''}"


def _shared(notes: Sequence[str]) -> str:
    """What all runs have in common: not the budget where recipes had different numbers of steps or epochs."""
    return "base model" if any(note.startswith(UNEQUAL) for note in notes) else "base model and budget"


def _ranking(page: Page, found: Comparison) -> None:
    page.section("Ranking")
    page.figure(
        dot_interval_chart(
            [label(row.name) for row in found.ranking],
            {found.metric: [Estimate(*row.score) for row in found.ranking]},
            title=f"{found.metric}, best first",
            x_label=f"{found.metric}, higher is better",
            caption="Whiskers are 95% intervals of each score. They may overlap although the paired difference is "
            "significant; see the differences below.",
        )
    )
    compared = [row for row in found.ranking if row.baseline is not None]
    if compared:
        page.figure(
            dot_interval_chart(
                [label(row.name) for row in compared],
                {"difference": [Estimate(*_difference(row.baseline)) for row in compared]},
                title=f"Difference to {in_words(found.baseline)}",
                x_label=f"difference in {found.metric}",
                caption="Paired by item. An interval that excludes 0 is significant on its own; the table "
                "shows which differences remain significant after the correction for multiple comparisons.",
                reference=0.0,
            )
        )
    minus = f"minus {label(found.baseline)}"
    page.table(
        ["rank", "model", found.metric, minus, "95% interval", "p, corrected", "verdict"],
        [
            [row.rank, label(row.name), f"{row.score.mean:.3f}", *_cells(row.baseline), _verdict(row, found.baseline)]
            for row in found.ranking
        ],
        highlight=[i for i, row in enumerate(found.ranking) if row.name == found.metrics["recommended"]],
    )
    if found.baseline != BASE and any(row.base is not None for row in found.ranking):
        page.table(
            ["model", "minus the base model", "95% interval", "p, corrected", "verdict"],
            [[row.name, *_cells(row.base), row.base.verdict] for row in found.ranking if row.base is not None],
            caption="Differences to the base model (before fine-tuning).",
        )
    if found.metrics["seeds"] > 1:
        trained = [row for row in found.ranking if row.name != "base"]
        page.table(
            ["model", *(f"seed {seed}" for seed in range(found.metrics["seeds"]))],
            [[row.name, *(f"{score:.3f}" for score in row.by_seed)] for row in trained],
            caption=f"{found.metric} of each seed.",
        )


def _cost(page: Page, found: Comparison) -> None:
    trained = [row for row in found.ranking if row.name != "base"]
    page.section("Cost", "Per run, averaged over seeds; memory is the maximum over all runs.")
    page.figure(
        bar_chart(
            [row.name for row in trained],
            {"seconds": [row.cost.seconds for row in trained]},
            title="Time per run",
            x_label="seconds",
            caption="Includes loading, preparation before the first step, training and saving.",
        )
    )
    if any(row.cost.ms_per_query is not None for row in found.ranking):
        page.figure(
            bar_chart(
                [label(row.name) for row in found.ranking],
                {"ms": [row.cost.ms_per_query or 0.0 for row in found.ranking]},
                title="Time per query",
                x_label="milliseconds",
                caption="On ranked lists, to score all candidates of a query, whose texts are read anew. Otherwise, an "
                "encoder searches vectors of documents that were encoded before, and a reranker reads what the base "
                "model finds.",
            )
        )
    gpu = any(row.cost.gpu_memory is not None for row in trained)
    page.table(
        ["model", "steps", "seconds", "seconds per step", "peak memory, MiB", *(["GPU memory, MiB"] if gpu else [])],
        [
            [
                row.name,
                row.cost.steps,
                round(row.cost.seconds, 1),
                None if row.cost.seconds_a_step is None else round(row.cost.seconds_a_step, 3),
                _mib(row.cost.memory),
                *([_mib(row.cost.gpu_memory)] if gpu else []),
            ]
            for row in trained
        ],
    )


def _left_out(page: Page, found: Comparison) -> None:
    if found.failures:
        page.section("Failed", "These recipes could not be ranked. The results of the others are not affected.")
        page.table(
            ["recipe", "seed", "last message", "log file"],
            [[each.recipe, each.seed, each.reason, str(each.log)] for each in found.failures],
        )
    absent = [fit for fit in found.fits if fit.reason is not None]
    if absent:
        page.section("Not compared")
        page.table(["recipe", "why"], [[label(fit.name), fit.reason] for fit in absent])


def _how(page: Page, found: Comparison, options: Mapping[str, Any]) -> None:
    page.section(
        "Method",
        "Every model is scored on the same items. Intervals cover the variation over items, which is paired, and over "
        "seeds, whose variance is pooled over the models. A difference is significant if its p-value is below 0.05 "
        "after Holm's correction for all models compared with the same one.",
    )
    for note in found.notes:
        page.text(note)
    if options:
        page.table(["option", "value"], [[name, str(value)] for name, value in options.items()])
    add_prompts(page, found.metrics)


def _difference(against: Against | None) -> tuple[float, float, float]:
    assert against is not None
    return against.difference


def _cells(against: Against | None) -> Sequence[Cell]:
    if against is None:
        return [None, None, None]
    mean, low, high = against.difference
    # The same minus sign as in the figures, and no line break within an interval.
    signed = [f"{value:+.3f}".replace("-", "\u2212") for value in (mean, low, high)]
    return [signed[0], f"{signed[1]}\u00a0to\u00a0{signed[2]}", _p(against.corrected)]


def _verdict(row: Ranked, baseline: str) -> str:
    return "the baseline" if row.name == baseline else row.verdict


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _mib(size: int | None) -> int | None:
    return None if size is None else round(size / _MIB)


def _source(what: Any) -> str:
    return str(what) if isinstance(what, str) or hasattr(what, "__fspath__") else f"in memory: {type(what).__name__}"
