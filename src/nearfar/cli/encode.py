"""`nearfar encode`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nearfar.cli.output import print_json, progress
from nearfar.cli.parameters import (
    BatchSize,
    Columns,
    GpusPerWorker,
    Json,
    MaxText,
    Model,
    Ray,
    SkipBroken,
    Stream,
    Workers,
    check_ray,
    encoding_on,
    parsed,
)
from nearfar.errors import InputError


def command(
    context: typer.Context,
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
    side: Annotated[
        Literal["query", "document"] | None,
        typer.Option(
            "--as",
            help="Side of the texts: the model uses its own prompt of queries or of documents.",
            show_default="neither: the model's default prompt, if any",
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Text to put before each text instead of the model's own prompt; '' for nothing."),
    ] = None,
    stream: Stream = False,
    columns: Columns = None,
    batch_size: BatchSize = 64,
    max_length: Annotated[
        int | None, typer.Option(help="Maximum sequence length in tokens (longer texts are truncated).", min=1)
    ] = None,
    normalize: Annotated[bool, typer.Option(help="Normalize vectors to length 1.")] = True,
    shard: Annotated[
        str | None,
        typer.Option(help="Part of the texts to encode, to a file and a manifest of its own; e.g. 3/8.", metavar="I/N"),
    ] = None,
    join: Annotated[
        int | None, typer.Option(help="Number of shards, all encoded, to join to the output file.", metavar="N", min=1)
    ] = None,
    ray: Ray = None,
    workers: Workers = 2,
    gpus_per_worker: GpusPerWorker = 0,
    skip_broken: SkipBroken = False,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Write the vectors of texts, image or audio files to a file, in their order."""
    mapping = parsed(columns)
    from nearfar.data.encodable import load_encodable
    from nearfar.data.streams import TextStream
    from nearfar.encoding.shards import Shard, encode_shard, join_shards
    from nearfar.kinds.loading import load_vectorizer
    from nearfar.models.encoding_files import check_target, encode_file, stored_beside
    from nearfar.models.prompts import prompt_of
    from nearfar.writing import file_claimed

    check_target(out)
    if sum(option is not None for option in (shard, join, ray)) > 1:
        raise InputError("expected at most one of --shard, --join and --ray", remedy="remove the others")
    check_ray(context, ray)
    part = None if shard is None else Shard.parse(shard)
    if stream and kind not in (None, "text"):
        raise InputError("is for texts", field="--stream", remedy="remove it")
    target = out if part is None else part.file(out)
    with encoding_on(ray, workers, gpus_per_worker, stream=stream) as encoding, file_claimed(target):
        if stream:
            rows, column = TextStream(file, columns=mapping), "text"
        else:
            rows, column = load_encodable(file, kind, columns=mapping, skip_broken=skip_broken)
        of_texts = (("--as", side), ("--prompt", prompt), ("--shard", shard), ("--join", join), ("--ray", ray))
        for option, value in of_texts:
            if column != "text" and value is not None:
                raise InputError(f"is for texts, got rows of {column}", field=option, remedy="remove it")
        encoder = load_vectorizer(model, max_length=max_length, view=view)
        used = "" if column != "text" else prompt_of(encoder, side) if prompt is None else prompt
        options: dict[str, Any] = {"batch_size": batch_size, "normalize": normalize, "kind": side, "prompt": prompt}
        found: dict[str, Any] = {}
        with progress("encode") as update:
            if part is not None:
                manifest, new = encode_shard(encoder, rows, out, part, progress=update, **options)
                first, last = manifest["rows"]
                count, dimension = last - first + 1, manifest["dimension"]
                found = {"shard": shard, "rows": manifest["rows"], "total": manifest["total"], "encoded": new}
            elif join is not None:
                count, dimension = join_shards(encoder, rows, out, join, progress=update, **options)
            else:
                encode = encoding(model, view=view, max_length=max_length)
                setup: dict[str, Any] = {"column": column, "encode": encode, "progress": update}
                with stored_beside(out, encoder) if stream or ray is not None else nullcontext() as stored:
                    count, dimension = encode_file(encoder, rows, out, stored=stored, **setup, **options)
    if json_:
        of = {"text": "texts", "image": "images", "audio": "audio"}[column]
        prompts = {"as": side, "prompt": used} if column == "text" else {}
        print_json({"out": str(target), of: count, "dimension": dimension, **prompts, **found})
        return
    print(f"{count:,} vectors of {dimension} dimensions in {target}")
    if found:
        first, last = found["rows"]
        state = "" if found["encoded"] else "; it was complete already"
        print(f"shard {shard}: rows {first:,} to {last:,} of {found['total']:,}{state}")
    if used:
        print(f"prompt: {used!r}")
    elif side is not None and prompt is None:
        print(f"prompt: none (the model has none for {'queries' if side == 'query' else 'documents'})")
