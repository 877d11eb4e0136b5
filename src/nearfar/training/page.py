"""The page of one training run: outcome, loss curve and distributions of similarities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nearfar.evaluation.chance import at_chance
from nearfar.evaluation.compared import score_interval
from nearfar.evaluation.result import at_ceiling, metric_name
from nearfar.kinds.drawn import left_out_note
from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.reports.charts.heatmap import heatmap
from nearfar.reports.charts.histogram import histogram
from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page, Tone
from nearfar.training.forgetting import BUILTIN

if TYPE_CHECKING:
    from nearfar.evaluation import Interval, Result
    from nearfar.evaluation.similarity import PairSimilarity
    from nearfar.training.forgetting import Forgetting
    from nearfar.training.result import Run


def verdict(before: Result, after: Result, change: Interval | None) -> tuple[str, Tone]:
    """Whether training helped, in one sentence, and the sentence's tone; neutral without an interval."""
    metric, delta = metric_name(before.primary), after.score - before.score
    figures, items = f"{metric} went from {before.score:.3f} to {after.score:.3f} ({delta:+.3f}", "held-out items"
    if "perplexity" in after.metrics:
        # The task notes it where an item is not a row.
        items = "blocks of held-out text" if after.notes else items
        first, last = before.metrics["perplexity"], after.metrics["perplexity"]
        figures = f"perplexity went from {first:,.1f} to {last:,.1f} ({metric} {delta:+.3f}"
    if at_ceiling(before.score, after.score):
        reached = f"{metric} is {before.score:.3f} before training and {after.score:.3f} after, and cannot be above 1"
        return f"Nothing can be told: {reached}. Measure on harder evaluation data.", "neutral"
    if before.chance is not None and at_chance(
        (score_interval(result) for result in (after, before)), before.chance, before.n
    ):
        scores = f"{metric} is {before.score:.3f} before training and {after.score:.3f} after, and guessing scores"
        return f"At chance: {scores} {before.chance.high:.3f}. More data, or another task, may tell more.", "neutral"
    if change is None:
        return f"{figures}; this task has no interval, so the difference may be due to chance).", "neutral"
    if not change.degenerate:
        figures += f", 95% interval {change.low:+.3f} to {change.high:+.3f})"
    if change.degenerate:
        return (
            f"No significant improvement: {figures}; all items changed by the same amount, so there is no interval).",
            "neutral",
        )
    if change.low > 0:
        return f"Better: {figures} on {before.n:,} {items}.", "good"
    if change.high < 0:
        return f"Worse: {figures} on {before.n:,} {items}.", "bad"
    return f"No significant improvement: {figures} on {before.n:,} {items}; the 95% interval includes 0.", "neutral"


def add_outcome(page: Page, before: Result, after: Result, change: Interval | None, seed: int) -> None:
    """The verdict, and every metric before and after."""
    from nearfar.evaluation import bootstrap_mean

    def estimate(result: Result, metric: str) -> Estimate:
        if result.per_item is None or metric not in result.per_item or result.n < 3:
            return Estimate(result.metrics[metric])
        found = bootstrap_mean(result.per_item[metric], seed=seed)
        return Estimate(found.mean, found.low, found.high)

    page.verdict(*verdict(before, after, change))
    page.section("Before and after", f"Evaluated on {before.n:,} held-out items.")
    shared = [metric for metric in before.metrics if metric in after.metrics]
    metrics = [metric for metric in shared if math.isfinite(before.metrics[metric] + after.metrics[metric])]
    if not metrics:
        page.text("No metric is defined both before and after training.")
        return
    page.figure(
        dot_interval_chart(
            [metric_name(metric) for metric in metrics],
            {
                "before": [estimate(before, metric) for metric in metrics],
                "after": [estimate(after, metric) for metric in metrics],
            },
            title="Held-out metrics before and after training",
            x_label="higher is better",
            caption="Whiskers are 95% bootstrap intervals of each score; the interval in the verdict is that of the "
            "paired difference.",
        )
    )
    for note in dict.fromkeys((*before.notes, *after.notes)):
        page.text(note)


def add_loss(page: Page, log: Sequence[Mapping[str, float]], primary: str | None, rows: str = "Held-out") -> None:
    """The loss curve, and the curve of the metric on held-out or validation rows if there is one (`eval_steps`)."""
    losses = [(entry["step"], entry["loss"]) for entry in log if "loss" in entry]
    if losses:
        page.section("Training")
        page.figure(
            line_chart(
                {"training loss": losses},
                title="Training loss",
                y_label="loss",
                caption="Each point is the mean over the steps since the previous point.",
            )
        )
    followed: dict[str, list[tuple[float, float]]] = {}
    for entry in log:
        for key, value in entry.items():
            if key == f"eval_{primary}":
                followed.setdefault(metric_name(key[5:]), []).append((entry["step"], value))
    if followed:
        page.figure(line_chart(followed, title=f"{rows} metric during training", y_label="higher is better"))


def add_similarities(page: Page, before: PairSimilarity, after: PairSimilarity) -> None:
    """Distributions of the similarities of positive and random pairs: training should separate them."""
    page.section(
        "Similarities",
        "Cosine similarity of held-out pairs. The further the positive pairs are to the right of the random pairs, the "
        "better a search separates them.",
    )
    for name, found in (("before", before), ("after", after)):
        page.figure(
            histogram(
                {"positive pairs": found.positive.tolist(), "random pairs": found.random.tolist()},
                title=f"Similarity of pairs {name} training",
                x_label="cosine",
            )
        )


def training_page(run: Run, configuration: Mapping[str, Any]) -> Page:
    """The report of a run."""
    data, metrics = configuration["data"], run.metrics
    counts = [f"{data['rows']:,} rows", f"{metrics['steps']:,} steps"]
    if metrics.get("tokens_seen"):
        counts.append(f"{metrics['tokens_seen']:,} tokens")
    page = Page(
        f"Training with {configuration['recipe']}",
        ", ".join(counts),
        [
            ("recipe", configuration["recipe"]),
            ("model", configuration["model"]["name"] or "new"),
            ("data", data["source"]),
            ("seed", configuration["seed"]),
        ],
    )
    if run.before is not None and run.after is not None:
        add_outcome(page, run.before, run.after, run.change, configuration["seed"])
        if seen := metrics.get("held_out_seen_in_training"):
            page.text(f"{seen:,} of these items are also training rows: the scores are too optimistic.")
    else:
        page.verdict("Trained, but not evaluated: no evaluation data was given (--eval).", "neutral")
    if run.forgetting is not None:
        add_forgetting(page, run.forgetting)
    if "stages" in metrics:
        add_stages(page, metrics)
    if metrics.get("drawn"):
        add_drawn(page, metrics["drawn"])
    if "rehearsal" in metrics:
        add_rehearsal(page, metrics["rehearsal"])
    if "parameters" in metrics:
        page.section("Model and cost")
        page.table(["", "figure"], [list(row) for row in _cost(metrics)])
    followed = metrics.get("validation")
    if followed is not None:
        add_loss(page, run.log, followed["metric"], "Validation")
    else:
        add_loss(page, run.log, None if run.before is None else run.before.primary)
    if run.similarities is not None:
        add_similarities(page, *run.similarities)
    if "prompts" in metrics:
        add_prompts(page, metrics["prompts"])
    page.section("Settings")
    page.table(["option", "value"], [[name, str(value)] for name, value in configuration["options"].items()])
    page.section("Use it")
    page.code(f"import nearfar\n\nmodel = nearfar.load({str(run.folder / 'model')!r})")
    if "dense" in metrics:
        page.text("dense/ contains a model that transformers can load: " + metrics["dense"]["note"])
        page.code(
            "from transformers import AutoModelForCausalLM\n\n"
            f"model = AutoModelForCausalLM.from_pretrained({str(run.folder / 'dense')!r})"
        )
    return page


def add_forgetting(page: Page, found: Forgetting) -> None:
    """What was forgotten: the score on the general set before and after, and the difference."""
    where = "the pairs that come with nearfar" if found.name == BUILTIN else found.rows
    page.section(
        "What was forgotten",
        f"The change on a general set ({where}), whose rows have nothing to do with the training rows.",
    )
    page.text(found.verdict()[0])
    if found.change is not None and not found.change.degenerate:
        page.figure(
            dot_interval_chart(
                [metric_name(found.before.primary)],
                {"change": [Estimate(*found.change)]},
                title="Change on the general set",
                x_label="after minus before",
                caption=f"Paired 95% bootstrap interval over {found.before.n:,} items.",
                reference=0.0,
            )
        )


def add_drawn(page: Page, drawn: Sequence[Mapping[str, Any]]) -> None:
    """How many rows an epoch draws, and which it leaves out, and why."""
    page.section("Rows drawn", "No row is drawn twice in an epoch, except rehearsed rows with a fixed share.")
    named = [key for key in ("stage", "dataset") if len({each[key] for each in drawn}) > 1]
    page.table(
        [*named, "rows", "drawn in an epoch", "batches in an epoch", "smaller batches", "drawn in total"],
        [[*(str(each[key] or "") for key in named), *(f"{each[key]:,}" for key in _DRAWN)] for each in drawn],
    )
    for line in dict.fromkeys(filter(None, map(left_out_note, drawn))):
        page.text(f"{line}.")


_DRAWN = ("rows", "rows_per_epoch", "batches_per_epoch", "smaller_batches_per_epoch", "rows_in_all")


def add_rehearsal(page: Page, rehearsal: Mapping[str, Any]) -> None:
    """What the run folder contains of the rows that were rehearsed."""
    kept = {"rows": "these rows", "features": "their vectors, not the rows", "nothing": "none of them"}
    page.section(
        "Rehearsal",
        f"For later tasks, {rehearsal['items']:,} rows are kept. The folder rehearsal/ of the run contains "
        f"{kept[rehearsal['keep']]}; its README.md says how to keep less.",
    )
    tasks = rehearsal["tasks"].items()
    page.table(["task", "labels", "rows"], [[name, str(len(of)), f"{sum(of.values()):,}"] for name, of in tasks])


def add_prompts(page: Page, prompts: Mapping[str, Any]) -> None:
    """What stood before the texts of each column."""
    page.section("Prompts", "What stood before texts in training. The model keeps them: it puts the same before texts.")
    flat = {
        name if isinstance(each, str) else f"{name}: {column}": text
        for name, each in prompts.items()
        for column, text in ({"": each} if isinstance(each, str) else each).items()
    }
    page.table(["column", "prompt"], [[name, repr(text)] for name, text in flat.items()])


def add_stages(page: Page, metrics: Mapping[str, Any]) -> None:
    """Steps and scores after each stage, and the forgetting over a stream of tasks."""
    stages = metrics["stages"]
    names = list(next((stage["metrics"] for stage in stages if stage["metrics"]), {}))
    page.section("Stages", "Evaluated on the held-out data after each stage." if names else "")
    page.table(
        ["stage", "steps", *map(metric_name, names)],
        [
            [stage["name"], f"{stage['steps']:,}", *(_figure((stage["metrics"] or {}).get(name)) for name in names)]
            for stage in stages
        ],
    )
    if stream := metrics.get("stream"):
        page.text(
            f"After the last stage, the average over the tasks is {stream['average']:.3f}. Forgetting is "
            f"{stream['forgetting']:.3f}: the average drop of earlier tasks from their best score."
        )
        if "seen" in stream:
            _add_seen(page, stages, stream)


def _add_seen(page: Page, stages: Sequence[Mapping[str, Any]], stream: Mapping[str, Any]) -> None:
    """The score on all tasks seen so far, and on each task, after each stage."""
    plain = next(iter(stages[0]["metrics"])).removeprefix("mean ")
    metric, tasks = metric_name(plain), [name for name in stages[0]["metrics"] if name.startswith(f"{plain} of ")]
    names = [str(stage["name"]) for stage in stages]
    lines = {"all tasks seen so far": list(enumerate(stream["seen"], 1))}
    first = [stage["metrics"][tasks[0]] for stage in stages]
    lines[names[0]] = list(enumerate(first, 1))
    page.text(
        f"{metric[:1].upper()}{metric[1:]} on all tasks seen so far: average {stream['average_seen']:.3f} over the "
        f"stages, last {stream['last_seen']:.3f}."
    )
    if "last_wer" in stream:
        page.text(f"Word error rate: average {stream['average_wer']:.3f}, last {stream['last_wer']:.3f}.")
    if "last_slu_f1" in stream:
        page.text(f"SLU-F1 of slots: average {stream['average_slu_f1']:.3f}, last {stream['last_slu_f1']:.3f}.")
    page.figure(
        line_chart(
            lines,
            title="Tasks seen so far, and the first task",
            x_label="tasks seen",
            y_label=metric,
            caption="After each task, measured on the held-out rows of all tasks up to it, and of the first one alone.",
        )
    )
    page.figure(
        heatmap(
            [f"after {name}" for name in names],
            [task.partition(" of ")[2] for task in tasks],
            [[stage["metrics"][task] for task in tasks] for stage in stages],
            title=f"{metric[:1].upper()}{metric[1:]} by task",
            caption="A row is a stage, a column the held-out rows of a task. What fades downwards is forgotten.",
        )
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


_MIB = 1 << 20


def _cost(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """For a language model: its size, the memory of training, and the speed."""
    parameters, memory, speed = metrics["parameters"], metrics["memory_bytes"], metrics["speed"]["tokens_per_second"]
    rows = [
        ("parameters", f"{parameters['all']:,}"),
        ("parameters without embeddings", f"{parameters['without_embeddings']:,}"),
        ("memory of the optimizer (two moments per parameter)", f"{memory['optimizer'] / _MIB:,.1f} MiB"),
        ("memory of the weights", f"{memory['weights'] / _MIB:,.1f} MiB"),
        ("memory of the gradients", f"{memory['gradients'] / _MIB:,.1f} MiB"),
        ("training speed", "not measured" if speed is None else f"{speed:,.0f} tokens/s"),
    ]
    if metrics.get("dense", {}).get("perplexity") is not None:
        rows.insert(0, ("held-out perplexity of the dense export", f"{metrics['dense']['perplexity']:,.2f}"))
    return rows
