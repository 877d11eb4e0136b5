"""`nearfar compare`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfar.cli.output import print_json, print_table, progress, say
from nearfar.cli.parameters import Json, MaxText, SkipBroken, TrainerArgs, Weights, parsed
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.comparison import Comparison


def command(
    data: Annotated[
        list[str],
        typer.Option(
            help="Rows to train on: file, folder of files or Hub ID (repeatable; files of one schema are joined).",
            metavar="FILE|HUB_ID",
        ),
    ],
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE",
            help="Recipes to compare: names, or paths such as ./my_recipe.py (default: all that fit the data).",
            show_default=False,
        ),
    ] = None,
    eval_: Annotated[
        str | None,
        typer.Option(
            "--eval", help="Rows or BEIR-format dataset to evaluate on (default: some groups of --data are held out)."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds (runs) per recipe.", min=1, max=1000)] = 3,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            help="Minutes for everything, shared equally by all runs (default: each run sees the rows once).",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Base model: path, Hub ID or alias (repeatable: every recipe on each of them).", show_default="minilm"
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Recipe that the others are tested against, or base (the base model).",
            show_default="infonce, or simcse, or the first named",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs and the report.")] = Path("runs/compare"),
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a hyperparameter: epochs=3 for all recipes that have it, dse.alpha=1 for one (repeatable).",
        ),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE,...",
            help="Values of a hyperparameter to try, e.g. learning_rate=1e-5,5e-5 or lora_rank=0,16 (repeatable: all "
            "combinations; one value at a time where it is a text). Half of the configurations go on, on twice the "
            "budget.",
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Rows or BEIR-format dataset that a search chooses on (default: some groups of --data are held out)."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="Column mapping, e.g. anchor=question,positive=answer (one for all --data and --variant, or one for "
            "each, in this order; '' for none).",
            metavar="NAME=COLUMN,...",
        ),
    ] = None,
    weights: Weights = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Other training rows, e.g. mined=triplets.jsonl: every recipe is also trained on them instead of "
            "--data, on the same budget (repeatable).",
            metavar="NAME=FILE|HUB_ID",
        ),
    ] = None,
    eval_columns: Annotated[
        str | None,
        typer.Option(help="Column mapping of --eval (default: --columns, where it fits).", metavar="NAME=COLUMN,..."),
    ] = None,
    held_out: Annotated[
        float, typer.Option(help="Maximum fraction of rows held out for evaluation, without --eval.", metavar="SHARE")
    ] = 0.2,
    drop_leaks: Annotated[
        bool,
        typer.Option("--drop-leaks", help="Remove training rows that are evaluation rows too, instead of refusing."),
    ] = False,
    launcher: Annotated[
        str | None,
        typer.Option(
            metavar="CMD {}",
            help="Command that starts each training and waits for it, e.g. 'srun --gres=gpu:1 {}' or "
            "'ray job submit -- {}'; {} is the command of the training. All hosts must share the files.",
            show_default="on this machine",
        ),
    ] = None,
    parallel: Annotated[
        int, typer.Option(help="Number of trainings at the same time, with --launcher.", min=1, metavar="N")
    ] = 1,
    keep: Annotated[
        str | None,
        typer.Option(
            help="General set, to measure what is forgotten: builtin (pairs that come with nearfar), none, or rows of "
            "your own.",
            metavar="builtin|none|FILE|HUB_ID",
            show_default="builtin, for a model that encodes texts",
        ),
    ] = None,
    trainer_args: TrainerArgs = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the comparison in --out.")] = False,
    skip_broken: SkipBroken = False,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Find out which recipe is best on your data: equal budgets, several seeds, a ranking with intervals."""
    from nearfar.kinds.options import parse_settings

    settings, theirs = parse_settings(set_ or []), parsed(eval_columns, "--eval-columns")
    own = [parsed(each or None) for each in columns or ()]
    if theirs and eval_ is None:
        raise InputError("names columns of rows that are not given", field="--eval-columns", remedy="give --eval")
    if budget is not None and not math.isfinite(budget):
        raise InputError(f"{budget} is no time", field="--budget", remedy="give minutes, e.g. 60")

    from nearfar.comparison import compare
    from nearfar.comparison.configurations import parse_search
    from nearfar.comparison.request import chosen_recipes
    from nearfar.comparison.variant_names import parse_variants
    from nearfar.training.joining import parse_weights

    parsed_weights = parse_weights(weights)
    tried = parse_search(search, chosen_recipes(recipes)) if search else {}
    models = model or ["minilm"]
    with progress("compare") as update:
        found = compare(
            recipes,
            data=data[0] if len(data) == 1 else data,
            evaluate_on=eval_,
            seeds=seeds,
            budget=budget,
            model=models[0] if len(models) == 1 else models,
            baseline=baseline,
            out=out,
            resume=resume,
            columns=own[0] if len(own) == 1 else own or None,
            evaluation_columns=theirs,
            weights=parsed_weights,
            variants=parse_variants(variant or []),
            held_out=held_out,
            drop_leaks=drop_leaks,
            skip_broken=skip_broken,
            keep=keep,
            trainer_args=trainer_args,
            settings=settings,
            search=tried,
            validate_on=validation,
            launcher=launcher,
            parallel=parallel,
            progress=update,
            say=say,
        )
    if json_:
        print_json({"folder": str(found.folder), "report": str(found.folder / "report.html"), **found.metrics})
        return
    _show(found)


def _show(found: Comparison) -> None:
    from nearfar.comparison.general import general_cell
    from nearfar.comparison.ranking import label

    columns = [
        "",
        "model",
        found.metric,
        f"minus {label(found.baseline)}",
        "95% interval",
        "p (Holm)",
        "verdict",
        "steps",
        "seconds",
        "MiB",
    ]
    timed = any(row.cost.ms_per_query is not None for row in found.ranking)
    columns += ["ms/query"] if timed else []
    general = found.metrics.get("general")
    columns += ["general set"] if general else []
    lines = []
    for row in found.ranking:
        against, memory = row.baseline, row.cost.memory
        difference = ["", "", ""]
        if against is not None:
            mean, low, high = against.difference
            difference = [f"{mean:+.3f}", f"{low:+.3f} to {high:+.3f}", _p(against.corrected)]
        cost = [f"{row.cost.steps:,}", f"{row.cost.seconds:,.0f}", "" if memory is None else f"{memory / 2**20:,.0f}"]
        if timed:
            cost.append("" if row.cost.ms_per_query is None else f"{row.cost.ms_per_query:,.1f}")
        if general:
            cost.append(general_cell(general, row.name))
        lines.append([str(row.rank), label(row.name), f"{row.score.mean:.3f}", *difference, row.verdict, *cost])
    if "rungs" in found.metrics:
        _show_rungs(found)
    print_table(columns, lines)
    for fit in found.fits:
        if fit.reason is not None:
            say(f"{label(fit.name)}: not compared, {fit.reason}")
    for failure in found.failures:
        say(f"{failure.recipe}: failed with seed {failure.seed}: {failure.reason} (see {failure.log})")
    for note in (found.metrics["leaks"]["says"], *found.notes):
        say(note)
    print(f"\n{found.recommendation}\n{found.verdicts}")
    if found.model is not None:
        print(f"model   {found.model}")
    print(f"report  {found.folder / 'report.html'}")


def _show_rungs(found: Comparison) -> None:
    """All configurations of a search on the validation rows."""
    rungs = found.metrics["rungs"]
    heads = [f"rung {number} ({rung['seeds']} seed{'s' * (rung['seeds'] > 1)})" for number, rung in enumerate(rungs, 1)]
    lines = [
        [name, *(f"{rung['scores'][name]:.3f}" if name in rung["scores"] else "" for rung in rungs)]
        for name in found.metrics["configurations"]
    ]
    print_table(["configuration", *heads], lines)
    print()


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
