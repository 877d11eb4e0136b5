"""`nearfar demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import Json, Seed


def command(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("nearfar-demo"),
    model: Annotated[str, typer.Option(help="A folder, a hub id, or an alias.")] = "minilm",
    package: Annotated[list[str] | None, typer.Option(help="Read this installed package too; repeatable.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of infonce; repeatable.")
    ] = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted demo.")] = False,
    json_: Json = False,
) -> None:
    """Teach a model to find Python's functions by what they do: train, measure, index and search in minutes."""
    from nearfar.demo.run import demo, next_steps
    from nearfar.kinds.options import parse_settings
    from nearfar.training.page import verdict

    settings = parse_settings(set_ or [])
    with progress("train") as update:
        found = demo(
            out, model=model, packages=package or (), seed=seed, resume=resume, say=say, progress=update, **settings
        )
    if json_:
        print_json(found.as_dict())
        return
    print(f"\n{verdict(found.before, found.after, found.change)[0]}")
    for query, hits in found.answers.items():
        print(f"\n{query}")
        for hit in hits:
            print(f"  {hit.score:.3f}  {hit.text.partition(chr(10))[0]}")
    print(f"\nreport  {found.folder / 'report.html'}\nmodel   {found.folder / 'run' / 'model'}")
    print(f"\nNext, with your own data:\n{next_steps(found)}")
