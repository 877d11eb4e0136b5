"""`nearfar search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, printable, progress, say
from nearfar.cli.parameters import BatchSize, Columns, Json, MaxText, Model, Stream, parsed


def command(
    model: Model,
    corpus: Annotated[
        str, typer.Argument(help="Rows with a column text, or corpus.jsonl in BEIR format.", show_default=False)
    ],
    query: Annotated[str, typer.Argument(help="Query text.", show_default=False)],
    k: Annotated[int, typer.Option("-k", help="Number of documents to show.", min=1)] = 10,
    rerank: Annotated[
        str | None, typer.Option(help="Reranker that puts the documents found in their final order.", metavar="MODEL")
    ] = None,
    depth: Annotated[int, typer.Option(help="Number of documents to rerank.", min=1)] = 100,
    index: Annotated[Path | None, typer.Option(help="Folder of the index.", show_default="CORPUS.index")] = None,
    stream: Stream = False,
    columns: Columns = None,
    batch_size: BatchSize = 64,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Search a corpus. The index is built once and stored; it is rebuilt when the model or the corpus changes."""
    mapping = parsed(columns)
    from nearfar.data.corpus import index_beside, read_corpus
    from nearfar.kinds.loading import load_scorer
    from nearfar.models.prompts import prompts_of, quoted
    from nearfar.search import check_query, open_or_build, reranked

    check_query(query, k)
    scorer = None if rerank is None else load_scorer(rerank)

    folder = index or index_beside(corpus)
    with progress("index") as update:
        opened = open_or_build(
            model,
            corpus,
            lambda: read_corpus(corpus, mapping, stream=stream),
            folder,
            columns=mapping,
            batch_size=batch_size,
            progress=update,
            resumable=stream,
        )
    prompts = prompts_of(opened.model, ("query", "document"))
    if opened.built is not None:
        say(f"index of {opened.metadata.count:,} documents in {folder} ({opened.built})")
    if prompts:
        say(f"prompts: {quoted(prompts)}")
    hits = opened.search(query, k if scorer is None else max(k, depth))
    if scorer is not None:
        hits = reranked(hits, query, scorer, batch_size=batch_size)[:k]
    if json_:
        found = {"query": query, "index": str(folder), "hits": [hit._asdict() for hit in hits]}
        print_json({**found, **({"prompts": prompts} if prompts else {})})
        return
    for hit in hits:
        print(printable(f"{hit.rank:>3}  {hit.score:.3f}  {hit.id}  {' '.join(hit.text.split())[:200]}"))
