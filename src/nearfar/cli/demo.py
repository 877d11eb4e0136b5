"""`nearfar demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import Json, Seed


def command(
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("nearfar-demo"),
    model: Annotated[str, typer.Option(help="Base model: path, Hub ID or alias.")] = "minilm",
    package: Annotated[list[str] | None, typer.Option(help="Additional package to read (repeatable).")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override an option of infonce (repeatable)."),
    ] = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the demo in --out.")] = False,
    json_: Json = False,
) -> None:
    """Train a model to find Python functions by what they do: train, measure, index and search in minutes."""
    from nearfar.demo.run import demo, next_steps, summary, title
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
    print("\nTest questions, sampled before training (*: the expected entry):")
    for answer in found.answers:
        print(f"\n{answer.question.text}\n  {answer.verdict}")
        for hit in answer.shown:
            mark = "*" if hit.id in answer.question.expected else " "
            print(f"  {mark} {hit.rank:>4,}  {hit.score:.3f}  {title(hit)}")
    print(f"\n{summary(found.answers)}")
    print(f"\nreport  {found.folder / 'report.html'}\nmodel   {found.folder / 'run' / 'model'}")
    print(f"\nNext, use your own data:\n{next_steps(found)}")
