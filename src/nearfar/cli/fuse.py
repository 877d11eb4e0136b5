"""`nearfar fuse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nearfar.cli.output import print_json, print_table, progress
from nearfar.cli.parameters import Columns, Json, Seed, parsed
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.training.fusing_result import Choice


def command(
    base: Annotated[str, typer.Argument(help="Base model of all checkpoints.", show_default=False)],
    checkpoints: Annotated[
        list[str],
        typer.Argument(
            metavar="CHECKPOINT...",
            help="Two or more models trained from it, or their run folders; with --data, one is enough.",
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
    data: Annotated[
        str | None,
        typer.Option(
            help="Validation rows, by which the weight between base model and checkpoints is chosen: the largest gain "
            "within the limit of loss.",
            metavar="FILE|HUB_ID",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="General set that limits the weight: builtin (pairs that come with nearfar), or rows of your own.",
            metavar="builtin|FILE|HUB_ID",
            show_default="builtin",
        ),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(help="Largest loss on the general set, in its main metric.", show_default="0.02"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Weights to measure.", metavar="WEIGHT,...", show_default="0.1,0.2,...,1"),
    ] = None,
    columns: Columns = None,
    report: Annotated[
        Path | None, typer.Option(help="Report of the choice.", metavar="FILE.html", show_default="OUT.html")
    ] = None,
    seed: Seed = 0,
    json_: Json = False,
) -> None:
    """Fuse checkpoints of one model into one, also with their base model: much of the gain for little of the loss."""
    if data is not None:
        from nearfar.training.forgetting import BUILTIN
        from nearfar.training.fusing import LIMIT, WEIGHTS, fuse_within

        page = out.with_name(f"{out.name}.html") if report is None else report
        with progress("fuse") as update:
            choice = fuse_within(
                base,
                checkpoints,
                out,
                data=data,
                keep=BUILTIN if keep is None else keep,
                limit=LIMIT if limit is None else limit,
                weights=WEIGHTS if weights is None else _numbers(weights),
                granularity=granularity,
                beta=beta,
                columns=parsed(columns),
                report=page,
                seed=seed,
                progress=update,
            )
        _show(choice, out, page, json_)
        return
    given = {"--keep": keep, "--limit": limit, "--weights": weights, "--columns": columns, "--report": report}
    for option, value in given.items():
        if value is not None:
            problem = "only chooses a weight together with validation rows"
            raise InputError(problem, field=option, remedy="pass --data FILE, or remove it")
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


def _show(choice: Choice, out: Path, page: Path, as_json: bool) -> None:
    from nearfar.evaluation.result import metric_name
    from nearfar.training.fusing_page import effect_cells, verdict

    if as_json:
        print_json({"model": None if choice.weight is None else str(out), "report": str(page), **choice.as_dict()})
    else:
        gain, kept = map(metric_name, choice.metrics)
        columns = ["weight", gain, "95% interval", f"{kept}, general set", "95% interval", ""]
        print_table(columns, effect_cells(choice))
        print(f"\n{verdict(choice)[0]}")
        if choice.weight is not None:
            print(f"model   {out}")
        print(f"report  {page}")
    if choice.weight is None:
        raise typer.Exit(1)


def _numbers(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError as error:
        problem = f"expected numbers separated by commas, got {text!r}"
        raise InputError(problem, field="--weights", remedy="use e.g. 0.25,0.5,0.75,1") from error
