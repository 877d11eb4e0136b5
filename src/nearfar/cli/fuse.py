"""`nearfar fuse`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nearfar.cli.output import print_json, print_table, progress
from nearfar.cli.parameters import Json


def command(
    base: Annotated[str, typer.Argument(help="Base model of all checkpoints.", show_default=False)],
    checkpoints: Annotated[
        list[str],
        typer.Argument(
            metavar="CHECKPOINT...",
            help="Two or more models trained from it, or their run folders.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output folder.")],
    granularity: Annotated[
        Literal["model", "layer", "tensor", "element"], typer.Option(help="Granularity: what gets a weight of its own.")
    ] = "tensor",
    beta: Annotated[
        float, typer.Option(help="1: weight by distance from the base; 0: plain average; -1: by closeness.")
    ] = 1.0,
    json_: Json = False,
) -> None:
    """Fuse checkpoints of one model into one, weighed by how far each moved from the model they began as."""
    from nearfar.models.fusion import fuse

    with progress("fuse") as update:
        fused = fuse(base, checkpoints, out, granularity=granularity, beta=beta, progress=update)
    rows = list(zip(fused.checkpoints, fused.distances, fused.weights, strict=True))
    if json_:
        names = ("checkpoint", "distance", "weight")
        print_json({"model": str(fused.folder), "checkpoints": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    print_table(["checkpoint", "distance", "mean weight"], [[name, f"{d:.4f}", f"{w:.3f}"] for name, d, w in rows])
    print(f"\nmodel   {fused.folder}")
