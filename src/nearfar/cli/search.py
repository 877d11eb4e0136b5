"""`nearfar search`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nearfar.cli.output import print_json, printable, progress, say
from nearfar.cli.parameters import (
    BatchSize,
    Columns,
    GpusPerWorker,
    Json,
    MaxText,
    Model,
    Ray,
    Stream,
    Workers,
    check_ray,
    encoding_on,
    parsed,
    refuse_given,
)
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.search import Hit, SearchIndex

# Queries that are searched at once: progress moves after each.
_QUERIES = 1024


def command(
    context: typer.Context,
    model: Model,
    corpus: Annotated[
        str, typer.Argument(help="Rows with a column text, or corpus.jsonl in BEIR format.", show_default=False)
    ],
    query: Annotated[str | None, typer.Argument(help="Query text (or --queries).", show_default=False)] = None,
    k: Annotated[int, typer.Option("-k", help="Number of documents to show.", min=1)] = 10,
    queries: Annotated[
        Path | None,
        typer.Option(help="Many queries: rows with a column text, or queries.jsonl in BEIR format.", metavar="FILE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File of the results: .jsonl, .parquet, or .trec for trec_eval.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Condition on a column of the corpus: lang=en, year>=2020 (repeatable: all must hold).",
            metavar="COLUMN=VALUE",
        ),
    ] = None,
    hybrid: Annotated[
        bool, typer.Option("--hybrid", help="Join with a search by words (BM25), by reciprocal rank fusion.")
    ] = False,
    rerank: Annotated[
        str | None, typer.Option(help="Reranker that puts the documents found in their final order.", metavar="MODEL")
    ] = None,
    depth: Annotated[
        int, typer.Option(help="Number of documents to rerank, at least as many as are shown.", min=1)
    ] = 100,
    precision: Annotated[
        Literal["float32", "int8", "binary"] | None,
        typer.Option(
            help="Precision of the vectors in memory: int8 takes a quarter of float32, binary 1/32.",
            show_default="that of the index; float32 for a new one",
        ),
    ] = None,
    index: Annotated[Path | None, typer.Option(help="Folder of the index.", show_default="CORPUS.index")] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            help="Vectors to build the index from, as nearfar encode --as document writes them.", metavar="FILE"
        ),
    ] = None,
    stream: Stream = False,
    ray: Ray = None,
    workers: Workers = 2,
    gpus_per_worker: GpusPerWorker = 0,
    columns: Columns = None,
    batch_size: BatchSize = 64,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Search a corpus. The index is built once and stored; it is rebuilt when the model or the corpus changes."""
    mapping = parsed(columns)
    if (query is None) == (queries is None):
        problem = "give a query or --queries" if query is None else "a query is given, too"
        raise InputError(problem, field="query" if query is None else "--queries", remedy="give one of them")
    if (queries is None) != (out is None):
        problem = "is for many queries" if queries is None else "is missing"
        raise InputError(problem, field="--out", remedy="give both --queries and --out")
    if vectors is not None and ray is not None:
        raise InputError("the documents are not encoded with --vectors", field="--ray", remedy="remove it")
    if rerank is None:
        refuse_given(context, ("depth",), "is only for --rerank", needed="--rerank MODEL")
    check_ray(context, ray)
    from nearfar.data.corpus import index_beside, read_corpus, read_queries
    from nearfar.kinds.loading import load_scorer
    from nearfar.models.prompts import prompts_of, quoted
    from nearfar.search import check_query, open_or_build, reranked
    from nearfar.search.results import check_hit_file, write_hits
    from nearfar.search.where import parse_conditions

    if query is not None:
        check_query(query, k)
    if out is not None:
        check_hit_file(out, others=[corpus, queries])
    parse_conditions(where or [])
    asked = None if queries is None else read_queries(queries)
    scorer = None if rerank is None else load_scorer(rerank)

    folder = index or index_beside(corpus)
    with encoding_on(ray, workers, gpus_per_worker, stream=stream) as encoding, progress("index") as update:
        opened = open_or_build(
            model,
            corpus,
            lambda: read_corpus(corpus, mapping, stream=stream),
            folder,
            columns=mapping,
            precision=precision,
            batch_size=batch_size,
            progress=update,
            resumable=stream or ray is not None,
            vectors=vectors,
            encode=encoding(model),
        )
    prompts = prompts_of(opened.model, ("query", "document"))
    if opened.built is not None:
        say(f"index of {opened.metadata.count:,} documents in {folder} ({opened.built}){_recall(opened)}")
    if prompts:
        say(f"prompts: {quoted(prompts)}")
    if where and not opened.allowed(where).any():
        say("no document matches --where")

    def found(texts: list[str]) -> list[list[Hit]]:
        deep = k if scorer is None else max(k, depth)
        hits = opened.search_all(texts, deep, where=where or (), hybrid=hybrid, batch_size=batch_size)
        if scorer is None:
            return hits
        return [reranked(of, text, scorer, batch_size=batch_size)[:k] for text, of in zip(texts, hits, strict=True)]

    about = {"index": str(folder), "precision": opened.metadata.precision, "recall@10": opened.metadata.recall}
    about |= {"prompts": prompts} if prompts else {}
    if asked is not None and out is not None:
        ids, texts = asked

        def every() -> Iterator[tuple[str, str, list[Hit]]]:
            with progress("search") as update:
                for start in range(0, len(texts), _QUERIES):
                    stop = start + _QUERIES
                    yield from zip(ids[start:stop], texts[start:stop], found(texts[start:stop]), strict=True)
                    update(min(stop, len(texts)), len(texts))

        count = write_hits(every(), out)
        if json_:
            print_json({"queries": count, "out": str(out), **about})
        else:
            print(f"results of {count:,} queries in {out}")
        return
    assert query is not None
    (hits,) = found([query])
    if json_:
        print_json({"query": query, **about, "hits": [hit._asdict() for hit in hits]})
        return
    for hit in hits:
        print(printable(f"{hit.rank:>3}  {hit.score:.3f}  {hit.id}  {' '.join(hit.text.split())[:200]}"))


def _recall(opened: SearchIndex) -> str:
    if opened.metadata.recall is None:
        return ""
    return f"; {opened.metadata.precision} vectors find {opened.metadata.recall:.1%} of the 10 nearest documents"
