"""`nearfar push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json
from nearfar.cli.parameters import Json


def command(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    to: Annotated[str, typer.Option(help="Repository on the Hub, which is created if needed.", metavar="USER/NAME")],
    public: Annotated[bool, typer.Option("--public", help="Repository that everybody can read.")] = False,
    dry_run: Annotated[
        Path | None, typer.Option(help="Folder for what would be uploaded; nothing is sent.", metavar="FOLDER")
    ] = None,
    json_: Json = False,
) -> None:
    """Upload the model of a run, its card, figures and report to the Hugging Face Hub; private by default."""
    from nearfar.serving import push

    pushed = push(run, to, public=public, dry_run=dry_run)
    if json_:
        print_json(pushed.as_dict())
        return
    print("\n".join(pushed.files))
    print()
    for note in pushed.notes:
        print(f"note    {note}")
    where = f"would go to {to}" if pushed.url is None else f"are at {pushed.url}"
    print(f"files   {len(pushed.files)}, {'private' if pushed.private else 'public'}: they {where}")
