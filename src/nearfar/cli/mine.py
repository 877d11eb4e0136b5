"""`nearfar mine`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nearfar.cli.output import print_json, progress, say
from nearfar.cli.parameters import (
    BatchSize,
    Columns,
    GpusPerWorker,
    Json,
    MaxText,
    Ray,
    Seed,
    Stream,
    Workers,
    check_ray,
    encoding_on,
    parsed,
)
from nearfar.errors import InputError, renamed

if TYPE_CHECKING:
    from nearfar.mining import HardNegatives
    from nearfar.search import MinedNegatives


def command(
    context: typer.Context,
    pairs: Annotated[
        str, typer.Argument(help="Rows with anchor and positive, or a BEIR-format dataset.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Output file, .jsonl or .parquet: anchor, positive, negative_1, ...")],
    corpus: Annotated[
        str | None,
        typer.Option(
            help="Documents: rows with a column text, or corpus.jsonl in BEIR format.", show_default="the positives"
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="Encoder that finds the candidates: path, Hub ID or alias.")] = "minilm",
    num_negatives: Annotated[int, typer.Option(help="Number of negatives per row.", min=1)] = 3,
    range_min: Annotated[int, typer.Option(help="Number of the nearest candidates to skip.", min=0)] = 0,
    range_max: Annotated[
        int | None,
        typer.Option(help="Number of nearest candidates to consider.", min=1, show_default="as many as needed"),
    ] = None,
    max_score: Annotated[float | None, typer.Option(help="Maximum score of a negative.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Minimum score of a negative.")] = None,
    absolute_margin: Annotated[
        float | None, typer.Option(help="Minimum difference between the scores of positive and negative.")
    ] = None,
    relative_margin: Annotated[
        float | None,
        typer.Option(help="The same as a fraction of the positive's score; 0.05 is a good choice.", min=0),
    ] = None,
    sampling_strategy: Annotated[
        Literal["top", "random"], typer.Option(help="Nearest candidates, or a random sample of them.")
    ] = "top",
    cross_encoder: Annotated[
        str | None,
        typer.Option(
            help="Judge: cross-encoder or causal language model whose scores the limits apply to.", metavar="MODEL"
        ),
    ] = None,
    guide: Annotated[
        str | None, typer.Option(help="Judge: second encoder whose cosines the limits apply to.", metavar="MODEL")
    ] = None,
    too_few: Annotated[
        Literal["drop", "fill"],
        typer.Option(help="Rows with too few negatives: dropped, or filled with random documents."),
    ] = "drop",
    dropped: Annotated[
        Path | None,
        typer.Option(
            help="Output file with the candidates dropped as likely relevant, and the reasons.",
            show_default="OUT.dropped.jsonl",
        ),
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="Folder of the corpus's index.", show_default="CORPUS.index")
    ] = None,
    compare: Annotated[
        Literal["auto", "exact", "graph"],
        typer.Option(
            help="Comparison with every document, or search by the index's graph; auto: exact below a million."
        ),
    ] = "auto",
    columns: Columns = None,
    corpus_columns: Annotated[
        str | None, typer.Option(help="Column mapping of the corpus, e.g. text=body.", metavar="NAME=COLUMN")
    ] = None,
    stream: Stream = False,
    ray: Ray = None,
    workers: Workers = 2,
    gpus_per_worker: GpusPerWorker = 0,
    batch_size: BatchSize = 64,
    seed: Seed = 0,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Mine hard negatives for pairs from a corpus, and say how many are likely false. Run again to resume."""
    mapping, of_corpus = parsed(columns), parsed(corpus_columns, "--corpus-columns")
    if cross_encoder is not None and guide is not None:
        raise InputError("a judge is already given by --cross-encoder", field="--guide", remedy="remove one of them")
    if corpus is None and (index is not None or of_corpus is not None or stream):
        without = "--index" if index is not None else "--corpus-columns" if of_corpus is not None else "--stream"
        raise InputError("requires a corpus", field=without, remedy=f"add --corpus FILE, or remove {without}")
    check_ray(context, ray)
    from nearfar.data.corpus import index_beside, read_corpus
    from nearfar.data.row_files import check_row_file
    from nearfar.kinds.loading import class_of
    from nearfar.mining import HardNegatives
    from nearfar.search import mine_hard_negatives, open_or_build

    how = HardNegatives(
        num_negatives, range_min, range_max, max_score, min_score, absolute_margin, relative_margin, sampling_strategy
    )
    check_row_file(out, others=[pairs, corpus])
    judge, option = (guide, "--guide") if cross_encoder is None else (cross_encoder, "--cross-encoder")
    if judge is not None:
        # A judge that does not exist is said before the documents are encoded.
        with renamed(model=option):
            class_of(judge)
    opened = None
    with encoding_on(ray, workers, gpus_per_worker, stream=stream) as encoding:
        encode = encoding(model)
        if corpus is not None:
            folder = index or index_beside(corpus)
            with progress("index") as update:
                opened = open_or_build(
                    model,
                    corpus,
                    lambda: read_corpus(corpus, of_corpus, stream=stream),
                    folder,
                    columns=of_corpus,
                    batch_size=batch_size,
                    progress=update,
                    resumable=True,
                    encode=encode,
                )
            if opened.built is not None:
                say(f"index of {opened.metadata.count:,} documents in {folder} ({opened.built})")
        with progress("mine") as update, renamed(judge=option):
            found = mine_hard_negatives(
                pairs,
                model if opened is None else opened.model,
                out,
                corpus=opened,
                how=how,
                judge=judge,
                too_few=too_few,
                dropped=dropped,
                columns=mapping,
                batch_size=batch_size,
                seed=seed,
                exact=None if compare == "auto" else compare == "exact",
                progress=update,
                encode=encode,
            )
    dropped = dropped or out.with_name(f"{out.name}.dropped.jsonl")
    if json_:
        print_json({"out": str(out), "dropped_file": str(dropped), **found.as_dict()})
        return
    _print(found, how, out, dropped, too_few)
    mapped = f" --columns {columns}" if columns else ""
    say(f"Next: nearfar compare infonce --data {pairs}{mapped} --variant mined={out} --out runs/mined")


def _print(found: MinedNegatives, how: HardNegatives, out: Path, dropped: Path, too_few: str) -> None:
    from nearfar.models.prompts import quoted

    of = f"{found.written:,} of {found.rows:,} rows with {how.num_negatives} negatives each in {out}"
    print(f"{of}, from {found.documents:,} documents")
    if found.prompts:
        print(f"prompts: {quoted(found.prompts)}")
    if found.too_few:
        done = "dropped" if too_few == "drop" else "filled with random documents"
        print(f"{found.too_few:,} rows have too few negatives: {done}")
    if found.negative_score is not None:
        print(f"mean score: {found.positive_score:.3f} of positives, {found.negative_score:.3f} of mined negatives")
    for name, count in found.dropped.items():
        print(f"{count:,} candidates dropped by {name.replace('_', ' ')} ({getattr(how, name):g})")
    of = f"{found.likely_false:,} of {found.negatives:,} mined negatives in these rows"
    print(f"likely false: {of} have a higher score than the positive")
    if found.dropped:
        print(f"dropped candidates, with reasons: {dropped}")
    if found.likely_false:
        say("A margin drops them: --relative-margin 0.05")
