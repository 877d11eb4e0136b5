"""`nearfar sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, print_table, progress
from nearfar.cli.parameters import Columns, Json, MaxText, Seed, parsed
from nearfar.errors import InputError


def command(
    recipe: Annotated[str, typer.Argument(help="Recipe that has a temperature.", show_default=False)],
    data: Annotated[str, typer.Option(help="Rows to train on.")],
    eval_: Annotated[str, typer.Option("--eval", help="Labelled texts (text, label) to measure on.")],
    temperatures: Annotated[
        str, typer.Option(help="Temperatures, one run each.", metavar="TAU,...")
    ] = "0.05,0.1,0.2,0.5,1",
    line: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Line of the plot with an option of its own (repeatable)."),
    ] = None,
    model: Annotated[str, typer.Option(help="Base model: path, Hub ID or alias.")] = "minilm",
    out: Annotated[Path, typer.Option(help="Folder of the runs and of the report.")] = Path("runs/sweep"),
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a hyperparameter, e.g. --set epochs=3 (repeatable)."),
    ] = None,
    columns: Columns = None,
    eval_columns: Annotated[
        str | None, typer.Option(help="Column mapping of --eval (default: --columns).", metavar="NAME=COLUMN,...")
    ] = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the sweep in --out.")] = False,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Train anew at every temperature, and draw what it does: accuracy, uniformity and tolerance."""
    from nearfar import recipes
    from nearfar.comparison.sweep import temperature_sweep
    from nearfar.kinds.options import parse_settings

    settings, lines = parse_settings(set_ or []), {each: parse_settings([each]) for each in line or ()}
    chosen, own, theirs = recipes.get(recipe), parsed(columns), parsed(eval_columns)
    with progress(f"sweep {recipe}") as update:
        found = temperature_sweep(
            chosen,
            data,
            eval_,
            lines or None,
            temperatures=_numbers(temperatures),
            model=model,
            out=out,
            seed=seed,
            resume=resume,
            columns=own,
            evaluation_columns=theirs,
            progress=update,
            **settings,
        )
    if json_:
        print_json({"report": str(out / "report.html"), "runs": [run._asdict() for run in found]})
        return
    rows = [[run.name, f"{run.temperature:g}", *(f"{value:.3f}" for value in run[2:])] for run in found]
    print_table(["line", "temperature", "accuracy", "uniformity", "tolerance"], rows)
    print(f"\nreport  {out / 'report.html'}")


def _numbers(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise InputError(f"{text!r} is no list of numbers", field="--temperatures", remedy="write 0.05,0.2,1") from None
