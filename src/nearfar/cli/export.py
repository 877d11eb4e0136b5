"""`nearfar export`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nearfar.cli.output import error_line, print_json, print_table, progress, say
from nearfar.cli.parameters import Columns, Json, MaxText, Seed, parsed, refuse_given
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.serving import Exported


_STORES = ("lancedb", "qdrant", "parquet")
_TARGETS = ("onnx", "openvino", "tei", "vllm", "static", *_STORES)
#: Databases that load a Parquet file, each with a page.
_BY_PARQUET = ("pgvector", "milvus")


def command(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="Model: path, Hub ID or alias; or the folder of an index.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Option(
            "--for",
            help="Runtime or server of a model (tei is text-embeddings-inference); lancedb, qdrant or parquet of an "
            "index.",
            metavar=f"[{'|'.join(_TARGETS)}]",
            show_default=False,
        ),
    ],
    out: Annotated[
        str, typer.Option(help="Output folder; of an index FOLDER/TABLE.lance, http://HOST:PORT/COLLECTION, or a file.")
    ],
    fields: Annotated[
        str | None, typer.Option(help="Columns of the corpus that go along with an index.", metavar="COLUMN,...")
    ] = None,
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
    """Write a text encoder for another runtime or server, compared with the original: exit code 1 if they differ.

    The index of a corpus is copied into a database, and searched there.
    """
    if target in _BY_PARQUET:
        remedy = f"use --for parquet, and load the file as docs/databases/{target}.md says"
        raise InputError(f"{target} has no export of its own", field="--for", remedy=remedy)
    if target not in _TARGETS:
        raise InputError(f"unknown target {target!r}", field="--for", remedy=f"choose from {', '.join(_TARGETS)}")
    if target in _STORES:
        for option, value in (("--int8", int8 or None), ("--data", data), ("--task", task), ("--limit", limit)):
            if value is not None:
                raise InputError("is for models, not for an index", field=option, remedy="remove it")
        refuse_given(context, ("columns", "split", "seed"), "is for models, not for an index")
        _store(model, target, out, [name for name in (fields or "").split(",") if name], json_)
        return
    if fields is not None:
        raise InputError("is for an index, not for a model", field="--fields", remedy="remove it")
    if data is None:
        refuse_given(context, ("split",), "is only for --data", needed="--data FILE")
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


def _store(index: str, target: str, out: str, fields: list[str], as_json: bool) -> None:
    from dataclasses import asdict

    from nearfar.search import open_index
    from nearfar.search.stores import store_index

    with progress("export") as update:
        stored = store_index(open_index(index), target, out, fields=fields, progress=update)
    if as_json:
        print_json(asdict(stored))
    else:
        found = f"{stored.found} of {stored.checked} documents found by their own vectors"
        print(f"{stored.count:,} documents of {stored.dimension} dimensions in {out}; {found}")
    if stored.found < stored.checked:
        error_line(f"{out}: {stored.checked - stored.found} of {stored.checked} documents were not found first")
        raise typer.Exit(1)


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
