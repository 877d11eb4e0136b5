"""The page of one training run: did it help, how did the loss go, what do similarities look like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.reports.charts.histogram import histogram
from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page, Tone

if TYPE_CHECKING:
    from nearfar.evaluation import Interval, Result
    from nearfar.evaluation.similarity import PairSimilarity
    from nearfar.training.run import Run

NAMES = {
    "ndcg@10": "nDCG@10",
    "mrr@10": "MRR@10",
    "map@100": "MAP@100",
    "spearman": "Spearman's correlation",
    "pearson": "Pearson's correlation",
    "v_measure": "v-measure",
    "log_probability": "log-probability of a token",
}


def metric_name(metric: str) -> str:
    """A metric as people write it."""
    return NAMES.get(metric, metric.replace("_", " "))


def verdict(before: Result, after: Result, change: Interval | None) -> tuple[str, Tone]:
    """One sentence on whether training helped, and its tone. Without an interval there is no claim."""
    metric, delta = metric_name(before.primary), after.score - before.score
    figures, items = f"{metric} went from {before.score:.3f} to {after.score:.3f} ({delta:+.3f}", "held-out items"
    if "perplexity" in after.metrics:
        items = "blocks of held-out text"
        first, last = before.metrics["perplexity"], after.metrics["perplexity"]
        figures = f"perplexity went from {first:,.1f} to {last:,.1f} ({metric} {delta:+.3f}"
    if change is None:
        return f"{figures}; no interval for this task, so take it as one observation).", "neutral"
    if not change.degenerate:
        figures += f", 95% interval {change.low:+.3f} to {change.high:+.3f})"
    if change.degenerate:
        return f"No gain shown: {figures}; all items changed alike, so there is no interval).", "neutral"
    if change.low > 0:
        return f"Better: {figures} on {before.n:,} {items}.", "good"
    if change.high < 0:
        return f"Worse: {figures} on {before.n:,} {items}.", "bad"
    return f"No gain shown: {figures} on {before.n:,} {items}; the interval holds zero.", "neutral"


def add_outcome(page: Page, before: Result, after: Result, change: Interval | None, seed: int) -> None:
    """The verdict, and every metric before and after."""
    from nearfar.evaluation import bootstrap_mean

    def estimate(result: Result, metric: str) -> Estimate:
        if result.per_item is None or metric not in result.per_item or result.n < 3:
            return Estimate(result.metrics[metric])
        found = bootstrap_mean(result.per_item[metric], seed=seed)
        return Estimate(found.mean, found.low, found.high)

    page.verdict(*verdict(before, after, change))
    page.section("Before and after", f"Measured on {before.n:,} held-out items.")
    shared = [metric for metric in before.metrics if metric in after.metrics]
    metrics = [metric for metric in shared if math.isfinite(before.metrics[metric] + after.metrics[metric])]
    if not metrics:
        page.text("No metric is defined both before and after.")
        return
    page.figure(
        dot_interval_chart(
            [metric_name(metric) for metric in metrics],
            {
                "before": [estimate(before, metric) for metric in metrics],
                "after": [estimate(after, metric) for metric in metrics],
            },
            title="Held-out quality before and after training",
            x_label="higher is better",
            caption="Whiskers are 95% bootstrap intervals of each figure by itself; the verdict's interval is of the "
            "paired difference.",
        )
    )
    for note in dict.fromkeys((*before.notes, *after.notes)):
        page.text(note)


def add_loss(page: Page, log: Sequence[Mapping[str, float]], primary: str | None) -> None:
    """The loss curve, and the held-out metric where it was followed (`eval_steps`)."""
    losses = [(entry["step"], entry["loss"]) for entry in log if "loss" in entry]
    if losses:
        page.section("Training")
        page.figure(
            line_chart(
                {"training loss": losses},
                title="Training loss",
                y_label="loss",
                caption="Each point is the mean over the steps since the point before it.",
            )
        )
    followed: dict[str, list[tuple[float, float]]] = {}
    for entry in log:
        for key, value in entry.items():
            if key == f"eval_{primary}":
                followed.setdefault(metric_name(key[5:]), []).append((entry["step"], value))
    if followed:
        page.figure(line_chart(followed, title="Held-out quality during training", y_label="higher is better"))


def add_similarities(page: Page, before: PairSimilarity, after: PairSimilarity) -> None:
    """Distributions of positive and random pairs: training should part them."""
    page.section(
        "Similarities",
        "Cosines of held-out pairs. The further the pairs that belong together lie right of random ones, the better "
        "a search tells them apart.",
    )
    for name, found in (("before", before), ("after", after)):
        page.figure(
            histogram(
                {"belong together": found.positive.tolist(), "random": found.random.tolist()},
                title=f"Similarity of pairs {name} training",
                x_label="cosine",
            )
        )


def training_page(run: Run, configuration: Mapping[str, Any]) -> Page:
    """The report of a run."""
    options, data = configuration["options"], configuration["data"]
    page = Page(
        f"Training with {configuration['recipe']}",
        f"{data['rows']:,} rows, {run.metrics['steps']:,} steps",
        [
            ("recipe", configuration["recipe"]),
            ("model", configuration["model"]["name"]),
            ("data", data["source"]),
            ("seed", configuration["seed"]),
        ],
    )
    if run.before is not None and run.after is not None:
        add_outcome(page, run.before, run.after, run.change, configuration["seed"])
        if seen := run.metrics.get("held_out_seen_in_training"):
            page.text(f"{seen:,} of these items stand in the training rows as well: the figures flatter the model.")
    else:
        page.verdict("Trained, and not measured: no evaluation data was given (--eval).", "neutral")
    add_loss(page, run.log, None if run.before is None else run.before.primary)
    if run.similarities is not None:
        add_similarities(page, *run.similarities)
    page.section("Settings")
    page.table(["option", "value"], [[name, str(value)] for name, value in options.items()])
    page.section("Use it")
    model = run.folder / "model"
    page.code(f'from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer("{model}")')
    return page
