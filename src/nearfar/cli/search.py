"""`nearfar search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, printable, progress, say
from nearfar.cli.parameters import BatchSize, Columns, Json, MaxText, Model, parsed


def command(
    model: Model,
    corpus: Annotated[
        Path, typer.Argument(help="Rows with a column text, or corpus.jsonl in BEIR format.", show_default=False)
    ],
    query: Annotated[str, typer.Argument(help="Query text.", show_default=False)],
    k: Annotated[int, typer.Option("-k", help="Number of documents to show.", min=1)] = 10,
    index: Annotated[Path | None, typer.Option(help="Folder of the index.", show_default="CORPUS.index")] = None,
    columns: Columns = None,
    batch_size: BatchSize = 64,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Search a corpus. The index is built once and stored; it is rebuilt when the model or the corpus changes."""
    mapping = parsed(columns)
    from nearfar.search import check_query, open_or_build
    from nearfar.search.corpus import read_corpus

    check_query(query, k)

    folder = index or corpus.with_name(corpus.name + ".index")
    with progress("index") as update:
        opened = open_or_build(
            model,
            corpus,
            lambda: read_corpus(corpus, mapping),
            folder,
            columns=mapping,
            batch_size=batch_size,
            progress=update,
        )
    if opened.built is not None:
        say(f"index of {opened.metadata.count:,} documents in {folder} ({opened.built})")
    hits = opened.search(query, k)
    if json_:
        print_json({"query": query, "index": str(folder), "hits": [hit._asdict() for hit in hits]})
        return
    for hit in hits:
        print(printable(f"{hit.rank:>3}  {hit.score:.3f}  {hit.id}  {' '.join(hit.text.split())[:200]}"))
