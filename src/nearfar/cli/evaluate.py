"""`nearfar evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfar.cli.output import print_json, print_table, say
from nearfar.cli.parameters import BatchSize, Columns, Json, Model, Seed, parsed
from nearfar.errors import InputError, about


def command(
    model: Model,
    data: Annotated[str | None, typer.Option(help="Rows, or a retrieval folder, to measure on.")] = None,
    task: Annotated[
        str | None, typer.Option(help="sts, retrieval, classify or cluster; read off the columns otherwise.")
    ] = None,
    train: Annotated[str | None, typer.Option(help="Labelled rows that classify may learn from.")] = None,
    mteb: Annotated[
        list[str] | None, typer.Option(metavar="TASK", help="A public benchmark's task; repeatable.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which split to measure on, where there are several.")] = "test",
    columns: Columns = None,
    batch_size: BatchSize = 64,
    seed: Seed = 0,
    json_: Json = False,
) -> None:
    """Measure a model on your data, or on public benchmarks."""
    if data is None and not mteb:
        raise InputError("nothing to measure on", field="--data", remedy="give --data FILE, or --mteb TASK")
    for option, value in (("--task", task), ("--train", train), ("--columns", columns)):
        if data is None and value is not None:
            raise InputError("says how to measure on rows, and there are none", field=option, remedy="give --data FILE")
    mapping = parsed(columns)
    from nearfar.data import load as load_rows
    from nearfar.evaluation import check_task, evaluate, find_mteb, run_mteb
    from nearfar.evaluation.rows import load_for_evaluation
    from nearfar.models import load

    if task is not None:
        check_task(task)
    if mteb:
        find_mteb()
    rows = None if data is None else load_for_evaluation(data, mapping, split)
    learn = None if train is None else load_rows(train, columns=mapping, schema="labelled")
    encoder = load(model)
    found = {}
    if rows is not None:
        with about(data, getattr(rows, "column_names", ("corpus", "queries"))):
            result = evaluate(encoder, rows, task, train=learn, batch_size=batch_size, seed=seed)
        found = result.as_dict()
        if not json_:
            print_table(["metric", "value"], [[k, f"{v:.4f}"] for k, v in result.metrics.items()])
            print(f"\n{result.task} on {result.n:,} items, {result.seconds:.1f} s")
            for note in result.notes:
                say(note)
    if mteb:
        found["mteb"] = run_mteb(encoder, mteb, batch_size=batch_size)
        if not json_:
            print_table(["task", "score"], [[k, f"{v:.4f}"] for k, v in found["mteb"].items()])
    if json_:
        print_json({"model": model, **found})
