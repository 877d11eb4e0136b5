"""`nearfar export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nearfar.cli.output import error_line, print_json, print_table, say
from nearfar.cli.parameters import Columns, Json, MaxText, Model, Seed, parsed

if TYPE_CHECKING:
    from nearfar.serving import Exported


def command(
    model: Model,
    target: Annotated[
        Literal["onnx", "openvino", "tei", "vllm", "static"],
        typer.Option("--for", help="Runtime or server: tei is text-embeddings-inference.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Output folder.")],
    int8: Annotated[bool, typer.Option("--int8", help="Weights of 8 bits, for onnx and openvino.")] = False,
    data: Annotated[
        str | None,
        typer.Option(help="Rows or BEIR-format dataset to compare on (default: docstrings of the standard library)."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Evaluation task (default: by the columns).")] = None,
    split: Annotated[str, typer.Option(help="Split to compare on, where there are several.")] = "test",
    columns: Columns = None,
    limit: Annotated[
        float | None,
        typer.Option(
            help="Greatest accepted difference of vectors, 1 - cosine (default: 1e-4; for int8 0.05 or 0.02; for "
            "static 2, of similarities).",
            min=0,
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Write a text encoder for another runtime or server, compared with the original: exit code 1 if they differ."""
    from nearfar.serving import TooDifferent, export

    try:
        made = export(
            model,
            target,
            out,
            int8=int8,
            data=data,
            task=task,
            columns=parsed(columns),
            split=split,
            limit=limit,
            seed=seed,
            progress=say,
        )
    except TooDifferent as error:
        _show(error.exported, json_)
        error_line(str(error))
        raise typer.Exit(1) from error
    _show(made, json_)


def _show(made: Exported, as_json: bool) -> None:
    from nearfar.serving.figures import rows

    if as_json:
        print_json({"folder": str(made.folder) if made.passed else None, **made.as_dict()})
        return
    print_table(["", "original", "export"], rows(made))
    if made.passed:
        print(f"\nexport  {made.folder}\nstart   {made.start}")
    for note in made.notes:
        print(f"note    {note}")
