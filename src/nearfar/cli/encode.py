"""`nearfar encode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, progress
from nearfar.cli.parameters import BatchSize, Columns, Json, MaxText, Model, SkipBroken, parsed


def command(
    model: Model,
    file: Annotated[
        str,
        typer.Argument(
            help="Rows with a column text, image or audio; or a folder of image or audio files.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output file: vectors.npy, or vectors.parquet with the texts or paths.")],
    kind: Annotated[
        str | None,
        typer.Option(help="Column to encode: text, image or audio.", show_default="text, where there is one"),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option(
            help="View to encode with, of a model with several (sepclr: salient or common).",
            show_default="the model's first",
        ),
    ] = None,
    columns: Columns = None,
    batch_size: BatchSize = 64,
    max_length: Annotated[
        int | None, typer.Option(help="Maximum sequence length in tokens (longer texts are truncated).", min=1)
    ] = None,
    normalize: Annotated[bool, typer.Option(help="Normalize vectors to length 1.")] = True,
    skip_broken: SkipBroken = False,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Write the vectors of texts, image or audio files to a file, in their order."""
    mapping = parsed(columns)
    from nearfar.data.encodable import load_encodable
    from nearfar.kinds.loading import load_vectorizer
    from nearfar.models.encoding_files import check_target, encode_file
    from nearfar.writing import file_claimed

    check_target(out)
    with file_claimed(out):
        rows, column = load_encodable(file, kind, columns=mapping, skip_broken=skip_broken)
        encoder = load_vectorizer(model, max_length=max_length, view=view)
        with progress("encode") as update:
            count, dimension = encode_file(
                encoder, rows, out, column=column, batch_size=batch_size, normalize=normalize, progress=update
            )
    if json_:
        of = {"text": "texts", "image": "images", "audio": "audio"}[column]
        print_json({"out": str(out), of: count, "dimension": dimension})
    else:
        print(f"{count:,} vectors of {dimension} dimensions in {out}")
