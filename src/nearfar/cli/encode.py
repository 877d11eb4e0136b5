"""`nearfar encode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nearfar.cli.output import print_json, progress
from nearfar.cli.parameters import BatchSize, Columns, Json, Model, parsed


def command(
    model: Model,
    file: Annotated[str, typer.Argument(help="Rows with a column text.", show_default=False)],
    out: Annotated[Path, typer.Option(help="vectors.npy or vectors.parquet.")],
    columns: Columns = None,
    batch_size: BatchSize = 64,
    max_length: Annotated[int | None, typer.Option(help="Tokens after which a text is cut.", min=1)] = None,
    normalize: Annotated[bool, typer.Option(help="Scale every vector to length 1.")] = True,
    json_: Json = False,
) -> None:
    """Write the vectors of many texts to a file, in their order."""
    mapping = parsed(columns)
    from nearfar.data import load as load_rows
    from nearfar.encoding import check_target, encode_file
    from nearfar.models import load

    check_target(out)
    rows: Any = load_rows(file, columns=mapping, schema="sentences")
    encoder = load(model, max_length=max_length)
    with progress("encode") as update:
        texts, dimension = encode_file(encoder, rows, out, batch_size=batch_size, normalize=normalize, progress=update)
    if json_:
        print_json({"out": str(out), "texts": texts, "dimension": dimension})
    else:
        print(f"{texts:,} vectors of {dimension} dimensions in {out}")
