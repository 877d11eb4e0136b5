"""`nearfar evaluate`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nearfar.cli.output import print_json, print_table, progress, say
from nearfar.cli.parameters import (
    Amateur,
    BatchSize,
    Columns,
    Json,
    MaxText,
    Model,
    Seed,
    SkipBroken,
    check_amateur,
    parsed,
)
from nearfar.errors import InputError, about


def command(
    model: Model,
    data: Annotated[str | None, typer.Option(help="Rows, documents or BEIR-format dataset to evaluate on.")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Task: sts, ranking, retrieval, rerank, classify, cluster, zero-shot, few-shot, labels, answers, "
            "truthful, captions or perplexity (default: by the columns)."
        ),
    ] = None,
    train: Annotated[str | None, typer.Option(help="Labelled rows to train the classifier on.")] = None,
    templates: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT|FILE", help='Prompts for zero-shot, e.g. "a photo of a {}" (repeatable).'),
    ] = None,
    decoding: Annotated[
        str | None, typer.Option(help="Decoding to compare with the model alone in truthful: lol, icd, dola or cad.")
    ] = None,
    amateur: Amateur = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of --decoding (repeatable)."),
    ] = None,
    shots: Annotated[
        int | None, typer.Option(help="Examples before each image, for --task captions.", min=0, show_default="0")
    ] = None,
    mteb: Annotated[list[str] | None, typer.Option(metavar="TASK", help="MTEB task (repeatable).")] = None,
    split: Annotated[str, typer.Option(help="Split to evaluate on, where there are several.")] = "test",
    first: Annotated[
        str | None,
        typer.Option(help="Encoder of the first stage, for --task rerank.", metavar="MODEL", show_default="minilm"),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Evaluate the model truncated to N layers (comma-separated).")
    ] = None,
    dims: Annotated[
        str | None,
        typer.Option(metavar="D,D,...", help="Evaluate vectors truncated to D dimensions (comma-separated)."),
    ] = None,
    prompts: Annotated[
        Literal["on", "off", "both"],
        typer.Option(help="The model's own prompts: on, off, or both side by side with the difference."),
    ] = "on",
    report: Annotated[
        Path | None, typer.Option(help="Report with a heatmap over --layers and --dims, e.g. sizes.html.")
    ] = None,
    columns: Columns = None,
    batch_size: BatchSize = 64,
    seed: Seed = 0,
    skip_broken: SkipBroken = False,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Measure a model on your data, or on public benchmarks; whole, or at several depths and widths."""
    if data is None and not mteb:
        raise InputError("nothing to measure on", field="--data", remedy="give --data FILE, or --mteb TASK")
    on_rows = {
        "--task": task,
        "--train": train,
        "--templates": templates,
        "--first": first,
        "--columns": columns,
        "--decoding": decoding,
        "--shots": shots,
        "--layers": layers,
        "--dims": dims,
    }
    depths, widths = _numbers(layers, "--layers"), _numbers(dims, "--dims")
    sizes = depths or widths
    if prompts == "both" and (data is None or sizes):
        problem = "both is for the whole model on rows"
        raise InputError(problem, field="--prompts", remedy="give --data FILE alone, or use on or off")
    for option, value in on_rows.items():
        if data is None and value is not None:
            raise InputError("requires rows to measure on", field=option, remedy="give --data FILE")
    if templates is not None and sizes:
        raise InputError("is for the whole model", field="--templates", remedy="remove --layers and --dims")
    if report is not None:
        _check_report(report, of_sizes=bool(sizes))
    mapping = parsed(columns)
    chosen = _decoding(decoding, settings, amateur)

    from nearfar.data import load as load_rows
    from nearfar.evaluation import check_options, check_task, evaluate, find_mteb, run_mteb
    from nearfar.evaluation.dispatch import loaders, reads_documents
    from nearfar.evaluation.prompts import evaluate_prompts, prompted
    from nearfar.evaluation.rows import load_for_evaluation
    from nearfar.evaluation.tasks import check_able
    from nearfar.models.abilities import Predicts

    if task is not None:
        check_task(task)
        check_options(task, train=train, templates=templates, sizes=sizes, decoding=chosen, first=first, shots=shots)
    if mteb:
        find_mteb()
    find, load = loaders(task)
    kind = find(model)
    if task is not None:
        check_able(task, kind)
    documents = reads_documents(kind, task)
    rows = None
    if data is not None:
        rows = load_for_evaluation(data, mapping, split, skip_broken=skip_broken, documents=documents)
    learn = None if train is None else load_rows(train, columns=mapping, schema="labelled")
    loaded = load(model)
    if prompts != "on":
        encoder = prompted(loaded)
        if prompts == "off":
            encoder.prompts, encoder.default_prompt_name = {}, None
    found = {}
    if rows is not None:
        with about(data, getattr(rows, "column_names", ("corpus", "queries"))):
            if sizes:
                facts = [("model", model), ("data", data), ("seed", seed)]
                how = {"train": learn, "batch_size": batch_size, "seed": seed}
                found = _by_size(
                    _encoder(loaded, "--layers" if depths else "--dims"),
                    rows,
                    depths,
                    widths,
                    task,
                    how,
                    report,
                    facts,
                    quiet=json_,
                )
            else:
                slow = issubclass(kind, Predicts) or task == "rerank"
                with progress("evaluate") if slow else nullcontext(_nothing) as update:
                    measure: Any = evaluate_prompts if prompts == "both" else evaluate
                    result = measure(
                        loaded,
                        rows,
                        task,
                        train=learn,
                        templates=templates,
                        batch_size=batch_size,
                        seed=seed,
                        progress=update,
                        first=first,
                        decoding=chosen,
                        shots=shots,
                    )
                found = result.as_dict()
                if not json_ and prompts == "both":
                    _print_both(result)
                elif not json_:
                    _print(result)
    if mteb:
        found["mteb"] = run_mteb(_encoder(loaded, "--mteb"), mteb, batch_size=batch_size)
        if not json_:
            print_table(["task", "score"], [[k, f"{v:.4f}"] for k, v in found["mteb"].items()])
    if json_:
        print_json({"model": model, **found})


def _decoding(name: str | None, settings: list[str] | None, amateur: str | None) -> Any:
    """What to compare with the model alone, checked before the model is loaded."""
    from nearfar.settings import parse_settings, with_settings

    given = parse_settings(settings or ())
    if name is None:
        for option, value in (("--set", given), ("--amateur", amateur)):
            if value:
                raise InputError("is for a decoding", field=option, remedy=f"add --decoding, or remove {option}")
        return None
    from nearfar.decoding import methods
    from nearfar.evaluation.tasks import Decoding

    method = methods.get(name)
    check_amateur(amateur, method, with_settings(method.options(), given))
    return Decoding(name, given, amateur)


def _nothing(done: int, of: int) -> None:
    """Tasks that end soon show no progress."""


def _encoder(model: Any, option: str) -> Any:
    """What an option needs that is for models of vectors."""
    from nearfar.models.abilities import Encodes

    if not isinstance(model, Encodes):
        raise InputError(f"expected a text encoder, got {model.words}", field=option, remedy=f"remove {option}")
    return model.host  # pyright: ignore[reportAttributeAccessIssue]


def _print(result: Any) -> None:
    print_table(["metric", "value"], [[k, f"{v:.4f}"] for k, v in result.metrics.items()])
    if result.interval is not None:
        low, high = result.interval.low, result.interval.high
        print(f"\n{result.primary}: 95% interval over items {low:.4f} to {high:.4f}")
    if result.differences is not None:
        ms = result.ms_per_query or {}
        lines = [
            [name.replace("_", " "), f"{mean:+.4f}", f"{low:+.4f} to {high:+.4f}", f"{ms[name]:,.1f}"]
            for name, (mean, low, high) in result.differences.items()
        ]
        print_table(["reranked", f"{result.primary} minus first stage", "95% interval", "ms per query"], lines)
    _print_end(result, result.seconds)


def _print_both(found: Any) -> None:
    first, second = found.with_prompts, found.without
    rows = [[name, f"{value:.4f}", f"{second.metrics[name]:.4f}"] for name, value in first.metrics.items()]
    print_table(["metric", "with prompts", "without"], rows)
    if found.difference is not None:
        mean, low, high = found.difference
        print(f"\n{first.primary} with prompts minus without: {mean:+.4f}, 95% interval {low:+.4f} to {high:+.4f}")
    _print_end(first, first.seconds + second.seconds)


def _print_end(result: Any, seconds: float) -> None:
    print(f"\n{result.task} on {result.n:,} items, {seconds:.1f} s")
    if result.prompts:
        from nearfar.models.prompts import quoted

        print(f"prompts: {quoted(result.prompts)}")
    for note in result.notes:
        say(note)


def _by_size(
    encoder: Any,
    rows: Any,
    layers: list[int] | None,
    dims: list[int] | None,
    task: str | None,
    how: dict[str, Any],
    report: Path | None,
    facts: list[tuple[str, object]],
    *,
    quiet: bool,
) -> dict[str, Any]:
    from nearfar.evaluation.result import metric_name
    from nearfar.evaluation.sizes import evaluate_sizes
    from nearfar.evaluation.sizes_page import layer_names, sizes_page
    from nearfar.writing import file_claimed

    with nullcontext() if report is None else file_claimed(report, "--report"):
        sizes = evaluate_sizes(encoder, rows, layers, dims, task, **how)
        found = sizes.as_dict()
        if report is not None:
            found["report"] = str(sizes_page(sizes, facts).write(report))
    if not quiet:
        lines = zip(layer_names(sizes), sizes.scores, sizes.seconds.values(), strict=True)
        print_table(
            [metric_name(sizes.primary), *(f"{d} dims" for d in sizes.dims), "seconds"],
            [[name, *(f"{score:.4f}" for score in scores), f"{seconds:.2f}"] for name, scores, seconds in lines],
        )
        print(f"\n{found['task']} on {found['n']:,} items; seconds: encoding all texts at that depth")
        for note in sizes.notes:
            say(note)
        if report is not None:
            print(f"report  {report}")
    return found


def _numbers(text: str | None, option: str) -> list[int] | None:
    """`"2,4,6"` as numbers; None where the option was not given."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise InputError(f"{text!r} is no list of numbers", field=option, remedy="write e.g. 2,4,6")
    return [int(part) for part in parts]


def _check_report(path: Path, *, of_sizes: bool) -> None:
    from nearfar.writing import check_writable

    if not of_sizes:
        raise InputError("shows sizes, and none is asked for", field="--report", remedy="give --layers or --dims")
    if path.is_dir():
        raise InputError("this is a folder", file=path, field="--report", remedy="name a file, such as sizes.html")
    check_writable(path.absolute().parent, "--report")
