"""`nearfar distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, print_table, progress
from nearfar.cli.parameters import Columns, Json, MaxText, Model, Seed, parsed
from nearfar.errors import renamed


def command(
    model: Model,
    out: Annotated[Path, typer.Option(help="Output folder.")],
    data: Annotated[
        str | None, typer.Option(help="Rows or BEIR-format dataset to measure the static model and its teacher on.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Evaluation task (default: by the columns).")] = None,
    split: Annotated[str, typer.Option(help="Split to evaluate on, where there are several.")] = "test",
    columns: Columns = None,
    dims: Annotated[int, typer.Option(help="Dimensions of the vectors, kept by PCA.", min=1)] = 256,
    sif: Annotated[
        float, typer.Option(help="Weight of frequent tokens: the lower, the less they count; 1: no weighting.")
    ] = 1e-4,
    seed: Seed = 0,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Turn a text encoder into a static model: a vector per token, about a hundred times as fast, without training."""
    from nearfar.training.static import distill
    from nearfar.training.static_card import quality

    weighting = None if sif == 1 else sif
    mapping = parsed(columns)
    with progress("tokens") as update, renamed(model="MODEL"):
        made = distill(
            model,
            out,
            data=data,
            task=task,
            columns=mapping,
            split=split,
            dims=dims,
            sif=weighting,
            seed=seed,
            progress=update,
        )
    if json_:
        print_json(made.as_dict())
        return
    print_table(["", "teacher", "static"], quality(made))
    print(f"\n{made.tokens:,} tokens, {made.dims} dimensions, {made.seconds:.0f} s\nmodel   {made.folder}")
