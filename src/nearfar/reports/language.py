"""The page of one training run of a language model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page
from nearfar.training.page import verdict

if TYPE_CHECKING:
    from nearfar.training.run import Run

_MIB = 1 << 20


def language_page(run: Run, configuration: Mapping[str, Any]) -> Page:
    """The report: perplexity, the model's size, what training it took, the curves, the settings."""
    data, metrics = configuration["data"], run.metrics
    page = Page(
        f"Training with {configuration['recipe']}",
        f"{data['rows']:,} documents, {metrics['steps']:,} steps, {metrics['tokens_seen']:,} tokens",
        [
            ("recipe", configuration["recipe"]),
            ("model", configuration["model"]["name"] or "new"),
            ("data", data["source"]),
            ("seed", configuration["seed"]),
        ],
    )
    if run.before is not None and run.after is not None:
        page.verdict(*verdict(run.before, run.after, run.change))
        if seen := metrics.get("held_out_seen_in_training"):
            page.text(f"{seen:,} of these documents stand in the training text as well: the figures flatter the model.")
    else:
        page.verdict("Trained, and not measured: no documents were held out (--eval, held_out).", "neutral")
    page.section("Model and cost")
    page.table(["", "figure"], [list(row) for row in _figures(metrics)])
    _add_curves(page, run)
    page.section("Settings")
    page.table(["option", "value"], [[name, str(value)] for name, value in configuration["options"].items()])
    page.section("Use it")
    page.code(
        "from nearfar.models.language import load_language_model\n\n"
        f"model, tokenizer = load_language_model({str(run.folder / 'model')!r})"
    )
    if "dense" in metrics:
        page.text("dense/ holds a model that plain transformers loads: " + metrics["dense"]["note"])
        page.code(
            "from transformers import AutoModelForCausalLM\n\n"
            f"model = AutoModelForCausalLM.from_pretrained({str(run.folder / 'dense')!r})"
        )
    return page


def _figures(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    parameters, memory, speed = metrics["parameters"], metrics["memory_bytes"], metrics["speed"]["tokens_per_second"]
    rows = [
        ("parameters", f"{parameters['all']:,}"),
        ("of them without embeddings", f"{parameters['without_embeddings']:,}"),
        ("optimiser's memory (two moments a parameter)", f"{memory['optimizer'] / _MIB:,.1f} MiB"),
        ("weights", f"{memory['weights'] / _MIB:,.1f} MiB"),
        ("gradients", f"{memory['gradients'] / _MIB:,.1f} MiB"),
        ("training speed", "not measured" if speed is None else f"{speed:,.0f} tokens/s"),
    ]
    if "after" in metrics:
        after = metrics["after"]["metrics"]["perplexity"]
        rows.insert(0, ("perplexity on held-out documents", f"{after:,.2f}"))
    if metrics.get("dense", {}).get("perplexity") is not None:
        rows.insert(1, ("the same of the dense export", f"{metrics['dense']['perplexity']:,.2f}"))
    return rows


def _add_curves(page: Page, run: Run) -> None:
    losses = [(entry["step"], entry["loss"]) for entry in run.log if "loss" in entry]
    held_out = [(entry["step"], -entry["eval_log_probability"]) for entry in run.log if "eval_log_probability" in entry]
    lines = {"training": losses, "held out": held_out}
    lines = {name: line for name, line in lines.items() if line and all(math.isfinite(y) for _, y in line)}
    if lines:
        page.section("Training")
        page.figure(
            line_chart(
                lines,
                title="Loss",
                y_label="nats a token, where the recipe adds no term",
                caption="Each point of the training loss is the mean over the steps since the point before it.",
            )
        )
