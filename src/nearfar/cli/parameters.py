"""Options that several commands share, under one name each."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help="A folder, a hub id, or an alias such as minilm.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
# 32 bits: what numpy takes.
Seed = Annotated[int, typer.Option(help="Same seed, same figures.", min=0, max=2**32 - 1)]
BatchSize = Annotated[int, typer.Option(help="Texts in one forward pass.", min=1)]
Columns = Annotated[
    str | None, typer.Option(help="Names of your columns: anchor=question,positive=answer.", metavar="NAME=COLUMN,...")
]

SkipBroken = Annotated[
    bool,
    typer.Option(
        "--skip-broken",
        help="Leave out rows whose picture or recording is missing or damaged, and turns without a text.",
    ),
]


def parsed(columns: str | None) -> dict[str, str] | None:
    """The `--columns` mapping."""
    from nearfar.data import parse_columns

    return None if columns is None else parse_columns(columns)
