"""`nearfar train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import Json, MaxText, Seed, SkipBroken, TrainerArgs, Weights, parsed
from nearfar.errors import InputError


def command(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Recipe name (see nearfar recipes), or the path of your own: ./my_recipe.py.", show_default=False
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            help="Rows to train on: a file, a folder of files or a Hub ID (repeatable for recipes on several datasets, "
            "and with --weights; ROLE=FILE for recipes with roles).",
            metavar="FILE|HUB_ID",
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="Base model: path, Hub ID or alias.", show_default="minilm, or the recipe's own")
    ] = None,
    eval_: Annotated[
        str | None,
        typer.Option(
            "--eval", help="Rows, documents or BEIR-format dataset to evaluate on, before and after training."
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Rows that choose the checkpoint, with --set early_stopping=N or --set checkpoint=best.",
            metavar="FILE|HUB_ID",
            show_default="some of the training rows",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="General set, to measure what is forgotten: builtin (pairs that come with nearfar), none, or rows of "
            "your own.",
            metavar="builtin|none|FILE|HUB_ID",
            show_default="builtin, with --eval and a model that encodes texts",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder.", show_default="runs/RECIPE")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a hyperparameter, e.g. --set epochs=3 (repeatable)."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="Column mapping, e.g. anchor=question,positive=answer (one for each --data, or one for all tasks of a "
            "stream or with --weights; '' for none).",
            metavar="NAME=COLUMN,...",
        ),
    ] = None,
    weights: Weights = None,
    eval_columns: Annotated[
        str | None,
        typer.Option(help="Column mapping of --eval (default: --columns, where it fits).", metavar="NAME=COLUMN,..."),
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="CSV file with common names for the annotations of several datasets, for recipes with the option map "
            "(dataset,level,name,common).",
            metavar="FILE",
            show_default="proposed by the similarity of names",
        ),
    ] = None,
    trainer_args: TrainerArgs = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in --out; a finished one with more epochs or tasks.")
    ] = False,
    keep_checkpoints: Annotated[
        bool, typer.Option("--keep-checkpoints", help="Keep all files of the last checkpoints of a finished run.")
    ] = False,
    skip_broken: SkipBroken = False,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Train a model on your rows, measure it before and after, and write a folder with model and report."""
    from nearfar import recipes
    from nearfar.kinds.options import parse_settings, with_settings

    # What can be known to be wrong is said before anything heavy is loaded.
    settings, eval_mapping = parse_settings(set_ or []), parsed(eval_columns, "--eval-columns")
    if map_ is not None:
        settings |= parse_settings([f"map={map_}", *(each for each in set_ or [] if each.startswith("map="))])
    mappings = [parsed(each or None) for each in columns or ()]
    chosen = recipes.get(recipe)
    with_settings(chosen.options(), settings)
    sources = _sources(data, chosen.roles)
    if eval_mapping and eval_ is None:
        raise InputError("names columns of rows that are not given", field="--eval-columns", remedy="give --eval")
    folder = out or Path("runs", chosen.name)

    from nearfar.kinds._processes import is_main_process
    from nearfar.training.joining import parse_weights
    from nearfar.training.notes import run_notes
    from nearfar.training.page import verdict
    from nearfar.training.run import train

    with progress(f"train {chosen.name}") as update:
        run = train(
            chosen,
            sources,
            model=model,
            evaluation=eval_,
            validation=validation,
            keep=keep,
            out=folder,
            seed=seed,
            resume=resume,
            columns=mappings[0] if len(mappings) == 1 else mappings or None,
            weights=parse_weights(weights),
            evaluation_columns=eval_mapping,
            skip_broken=skip_broken,
            keep_checkpoints=keep_checkpoints,
            trainer_args=trainer_args,
            progress=update,
            **settings,
        )
    if not is_main_process():
        return  # torchrun's first process speaks for all
    if json_:
        print_json({"folder": str(run.folder), "model": str(run.folder / "model"), **run.metrics})
        return
    if run.before is not None and run.after is not None:
        print(verdict(run.before, run.after, run.change)[0])
    else:
        say("No --eval was given, so nothing was measured.")
    if run.forgetting is not None:
        print(run.forgetting.verdict()[0])
    if seen := run.metrics.get("held_out_seen_in_training"):
        say(f"{seen:,} of these items are also training rows: the scores are too optimistic.")
    for line in run_notes(run.metrics, run.peak_memory):
        say(line)
    print(f"model   {run.folder / 'model'}\nreport  {run.folder / 'report.html'}")


def _sources(data: list[str], roles: tuple[str, ...]) -> str | list[str] | dict[str, str]:
    """One source, several, or one for each role: `background=a.jsonl`."""
    by_role: dict[str, str] = {}
    for each in data:
        role, equals, source = each.partition("=")
        if equals and len(roles) > 1 and role in roles:
            if role in by_role:
                raise InputError(f"{role} is given twice", field="--data", remedy="give one dataset for each role")
            by_role[role] = source
    if by_role and len(by_role) < len(data):
        problem = "some datasets have a role and others have none"
        raise InputError(problem, field="--data", remedy=f"write {' '.join(f'--data {role}=FILE' for role in roles)}")
    return by_role or (data[0] if len(data) == 1 else data)
