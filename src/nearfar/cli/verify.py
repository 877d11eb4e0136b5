"""`nearfar verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import error_line, print_json, print_table, say
from nearfar.cli.parameters import Json, MaxText

_WORDS = {True: "equal", False: "differs", None: "not checked"}


def command(
    folder: Annotated[Path, typer.Argument(help="Run folder, or folder of a model by nearfar.", show_default=False)],
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Measure again, as long as an evaluation takes.")
    ] = True,
    tolerance: Annotated[float, typer.Option(help="Accepted difference of a figure.", min=0)] = 1e-3,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Compare a run's files, data and figures with what was recorded: exit code 1 if one differs."""
    from nearfar.serving import verify

    found = verify(folder, figures=figures, tolerance=tolerance, progress=say)
    if json_:
        print_json(found.as_dict())
    else:
        print_table(
            ["checked", "", "detail"], [(check.what, _WORDS[check.equal], check.detail) for check in found.checks]
        )
    if not found.equal:
        differing = ", ".join(check.what for check in found.checks if check.equal is False)
        error_line(f"{folder}: " + (f"differs: {differing}" if differing else "nothing could be checked"))
        raise typer.Exit(1)
