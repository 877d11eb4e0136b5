"""`nearfar recipes`."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer

from nearfar.cli.output import print_json, print_table
from nearfar.cli.parameters import Json


def command(
    name: Annotated[str | None, typer.Argument(help="Recipe to show in full.", show_default=False)] = None,
    json_: Json = False,
) -> None:
    """List all recipes with paper, needed data and evidence, or show one in full."""
    from nearfar import recipes

    found = [_described(recipes.get(each)) for each in ([name] if name else recipes.names())]
    if json_:
        print_json(found[0] if name else {"recipes": found})
    elif name:
        _print_one(recipes.get(name), found[0], name)
    else:
        print_table(
            ["recipe", "what it does", "needs", "paper", "evidence"],
            [[r["name"], r["summary"], " | ".join(r["needs"]), r["paper"], r["evidence"] or "none yet"] for r in found],
        )


def _described(recipe: Any) -> dict[str, Any]:
    from nearfar.data import SCHEMAS
    from nearfar.recipes._evidence import verdict

    defaults = {f.name: f.default for f in fields(recipe.options) if f.default is not MISSING}
    return {
        "name": recipe.name,
        "summary": recipe.summary,
        "idea": recipe.idea,
        "use_when": recipe.use_when,
        "task": recipe.task,
        "needs": [str(SCHEMAS[name]) for name in recipe.schemas],
        "paper": None if recipe.paper is None else str(recipe.paper),
        "url": None if recipe.paper is None else recipe.paper.url,
        "evidence": verdict(recipe.name),
        "options": defaults,
    }


def _print_one(recipe: Any, described: dict[str, Any], name: str) -> None:
    import inspect

    print(inspect.cleandoc(inspect.getmodule(recipe.prepare).__doc__ or ""))
    if recipe.use_when:
        print(f"\nUse it when: {recipe.use_when}")
    print()
    print_table(["needs"], [[need] for need in described["needs"]])
    print()
    print_table(["option", "default"], [[name, str(value)] for name, value in described["options"].items()])
    print()
    if described["paper"] is not None:
        print(f"Paper: {described['paper']}  {described['url']}")
    print(f"Evidence: {described['evidence'] or 'none yet'}")
    print(f"\nnearfar train {name} --data rows.jsonl --out runs/{recipe.name}")
