"""`nearfar inspect`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfar.cli.language_model import KeyVariable, PerMinute, Tries
from nearfar.cli.output import print_json, print_table, printable, progress, say
from nearfar.cli.parameters import (
    BatchSize,
    Columns,
    GpusPerWorker,
    Json,
    MaxText,
    Ray,
    Seed,
    SkipBroken,
    Workers,
    check_ray,
    encoding_on,
    parsed,
    refuse_given,
)
from nearfar.errors import InputError, renamed

if TYPE_CHECKING:
    from nearfar.inspection.repair import Repaired
    from nearfar.reports.page import Page

#: Number of false-negative candidates on the terminal.
SHOWN = 3
_NOT_OF_LANGUAGE_MODELS = (
    *("near_duplicate", "dims", "map_", "batch_size", "skip_broken", "fix"),
    *("ray", "workers", "gpus_per_worker"),
)


def command(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="Model: folder, Hub ID or alias (minilm, smollm2); or vectors of the data's texts (.npy, .parquet).",
            show_default=False,
        ),
    ],
    data: Annotated[str, typer.Option(help="Dataset: rows, or a BEIR-format folder; documents for a language model.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL2",
            help="Second model, compared on the same items; where both agree, false negatives are likely. For a "
            "language model: a teacher, whose output its layers are compared with.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Output folder for report.html and inspect.json.")] = Path("runs/inspect"),
    rows: Annotated[int, typer.Option(help="Maximum number of rows; larger datasets are sampled.", min=3)] = 10_000,
    near_duplicate: Annotated[float, typer.Option(metavar="COSINE", help="Minimum cosine of near-duplicates.")] = 0.95,
    layers: Annotated[
        str | None, typer.Option(metavar="N,N,...|none", help="Depths to measure at (default: all).")
    ] = None,
    dims: Annotated[
        str | None, typer.Option(metavar="D,D,...|none", help="Dimensions to measure at (default: powers of two).")
    ] = None,
    map_: Annotated[str, typer.Option("--map", help="Map method: pca or tsne.")] = "pca",
    split: Annotated[
        str | None, typer.Option(help="Split of the dataset.", show_default="train; retrieval: test")
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            help="Output file with the rows repaired, .jsonl or .parquet; OUT.changes.jsonl lists every change. For "
            "pairs and labelled texts.",
            metavar="OUT",
        ),
    ] = None,
    fix_action: Annotated[
        list[str] | None,
        typer.Option(
            "--fix-action",
            metavar="FAULT=ACTION",
            help="What --fix does: duplicates=drop|keep, near_duplicates=keep|drop, "
            "false_negatives=mask|drop|relabel|keep, wrong_positives=drop|keep, wrong_labels=relabel|drop|keep; "
            "defaults first, but wrong positives are kept without a judge (repeatable).",
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Model that must confirm what --fix changes: cross-encoder, encoder, or language model.",
            metavar="MODEL",
        ),
    ] = None,
    judge_endpoint: Annotated[
        str | None,
        typer.Option(help="URL of an OpenAI-compatible endpoint with the judge.", metavar="URL"),
    ] = None,
    key_env: KeyVariable = "OPENAI_API_KEY",
    per_minute: PerMinute = 0.0,
    tries: Tries = 6,
    columns: Columns = None,
    ray: Ray = None,
    workers: Workers = 2,
    gpus_per_worker: GpusPerWorker = 0,
    batch_size: BatchSize = 64,
    seed: Seed = 0,
    skip_broken: SkipBroken = False,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Inspect the space that a model makes of your data, and find false negatives and duplicates in the data.

    Of a model with views (sepclr): both spaces, and what they share. Of a causal language model: what the states of its
    layers know about the next tokens.
    """
    depths, widths, mapping = _sizes(layers, "--layers", least=0), _sizes(dims, "--dims"), parsed(columns)
    _check_out(out)
    only = {"--judge": judge, "--judge-endpoint": judge_endpoint}
    sizes = {"near_duplicate": near_duplicate, "batch_size": batch_size, "seed": seed}
    options = _repair_options(fix, data, only, fix_action, **sizes)
    if _exposes_states(model):
        refuse_given(context, _NOT_OF_LANGUAGE_MODELS, "is not for language models")
        _language(
            model,
            data,
            out,
            json_,
            against=against,
            columns=mapping,
            rows=rows,
            layers=depths,
            seed=seed,
            **({} if split is None else {"split": split}),
        )
        return

    check_ray(context, ray)
    scorer = None
    if fix is not None:
        from nearfar.inspection.repair import check_repairable

        # What would stop the repair is found before the inspection, which may take long.
        check_repairable(model, data, columns=mapping, split=split)
        scorer = _judge(
            fix, judge, judge_endpoint, batch_size, key_variable=key_env, tries=tries, per_minute=per_minute
        )

    from nearfar.inspection import inspect
    from nearfar.inspection.page import inspection_page
    from nearfar.inspection.summary import leakage, measure_rows, verdict
    from nearfar.models.encoding_files import stored_beside
    from nearfar.models.prompts import quoted
    from nearfar.writing import folder_claimed

    kept = nullcontext() if ray is None else stored_beside(out / "inspect", None)
    with (
        encoding_on(ray, workers, gpus_per_worker) as encoding,
        folder_claimed(out),
        kept as stored,
        progress("inspect") as update,
    ):
        found = inspect(
            model,
            data,
            against=against,
            columns=mapping,
            split=split,
            rows=rows,
            near_duplicate=near_duplicate,
            layers=depths,
            dims=widths,
            map=map_,
            batch_size=batch_size,
            seed=seed,
            skip_broken=skip_broken,
            progress=update,
            encoding=encoding,
            stored=stored,
        )
        figures = {**found.as_dict(), "data": data}
        report, numbers = _write(out, inspection_page(found, [("data", data)]), figures)
    repaired = None
    if fix is not None:
        from nearfar.inspection.repair import repair

        repaired = repair(model, data, fix, options=options, judge=scorer, columns=mapping, split=split)
    if json_:
        fixed = {} if repaired is None else {"repaired": {**repaired.as_dict(), "out": str(fix)}}
        print_json({**figures, **fixed, "report": str(report), "numbers": str(numbers)})
        return
    heads = ["measure", found.model]
    if found.against is not None:
        heads += [found.against.model, "difference"]
    print_table(heads, [["-" if cell is None else str(cell) for cell in row[:-1]] for row in measure_rows(found)])
    for each in (found, found.against):
        if each is not None and each.prompts:
            print(f"prompts of {each.model}: {quoted(each.prompts)}")
    print(f"\n{verdict(found)}")
    if shared := leakage(found):
        print(shared)
    for each in found.false_negatives[:SHOWN]:
        print(printable(f"{each.item.name}: {_short(each.item.text)}"))
        print(printable(f"  {each.positive_cosine:.3f}  {_short(each.positive.text)}"))
        print(
            printable(f"  {each.negative_cosine:.3f}  {_short(each.negative.text)}  ({each.negative.name})  {each.why}")
        )
    for pair in found.confusions[:SHOWN]:
        first, second = pair.labels
        print(printable(f"{first} / {second}: {pair.rows:,} of {pair.of:,} rows"))
        example = pair.examples[0]
        print(printable(f"  {_short(example.item.text)}  [{example.item.label}]  ({example.item.name})"))
        print(printable(f"  {example.cosine:.3f}  {_short(example.other.text)}  [{example.other.label}]"))
    for note in found.notes:
        say(note)
    if repaired is not None:
        _print_repaired(repaired, fix)
    print(f"\nreport  {report}\nnumbers {numbers}")


def _print_repaired(found: Repaired, fix: Path | None) -> None:
    print(f"\n{found.written:,} rows in {fix}, of {found.rows:,}")
    for change, count in found.changes.items():
        print(f"  {change.replace('_', ' ')}: {count:,}")
    for fault, count in found.kept.items():
        print(f"  {fault.replace('_', ' ')}: {count:,} found and kept")
    if found.unchecked:
        print(
            f"  labels not checked: {found.unchecked:,} (fewer than five texts have them, or most of these look like "
            "those of other labels)"
        )
    if found.unanswered and found.unanswered == found.judged:
        print(f"  the judge answered none of {found.judged:,} pairs, so it confirmed nothing")
    elif found.unanswered:
        print(f"  the judge did not answer {found.unanswered:,} of {found.judged:,} pairs, and confirmed nothing there")
    print(f"  every change, with its reason: {fix}.changes.jsonl")


def _repair_options(
    fix: Path | None, data: str, only: dict[str, Any], actions: list[str] | None, **options: Any
) -> Any:
    """The options of --fix; None without it.

    Args:
        fix: The output.
        data: The input.
        only: Values of the options that require --fix, by option.
        actions: `FAULT=ACTION`, ...
        **options: The other fields of `RepairOptions`.

    Raises:
        InputError: An option is given without --fix, or is invalid.
    """
    if fix is None:
        for option, value in {**only, "--fix-action": actions}.items():
            if value:
                raise InputError("is only for --fix", field=option, remedy=f"add --fix OUT.jsonl, or remove {option}")
        return None
    from nearfar.data.row_files import check_row_file
    from nearfar.inspection.repair import RepairOptions

    check_row_file(fix, "--fix", others=[data])
    if only["--judge-endpoint"] and not only["--judge"]:
        raise InputError("requires the name of a model", field="--judge-endpoint", remedy="add --judge NAME")
    chosen = {}
    for each in actions or []:
        fault, equals, action = each.partition("=")
        if not equals:
            problem = f"expected FAULT=ACTION, got {each!r}"
            raise InputError(problem, field="--fix-action", remedy="use e.g. false_negatives=drop")
        chosen[fault.strip().replace("-", "_")] = action.strip()
    with renamed(actions="--fix-action"):
        return RepairOptions(chosen, **options)


def _judge(fix: Path, judge: str | None, endpoint: str | None, batch_size: int, **calls: Any) -> Any:
    """The judge of --fix; None without one.

    Args:
        fix: The output.
        judge: The name of the model.
        endpoint: The URL of the endpoint with it; None: a model of this machine.
        batch_size: Batch size of such a model.
        **calls: Options of `Endpoint`.
    """
    from nearfar.inspection.repair.judging import endpoint_judge, model_judge

    if judge is None:
        return None
    if endpoint is None:
        with renamed(model="--judge"):
            return model_judge(judge, batch_size)
    from nearfar.generation.endpoint import Endpoint

    return endpoint_judge(Endpoint(endpoint, judge, **calls), fix.with_name(f"{fix.name}.calls.jsonl"))


def _exposes_states(model: str) -> bool:
    """Whether a model is inspected as a language model."""
    from nearfar.inspection.vector_files import is_vectors

    if is_vectors(model):
        return False
    from nearfar.kinds.loading import class_of
    from nearfar.models.abilities import ExposesStates

    return issubclass(class_of(model), ExposesStates)


def _language(model: str, data: str, out: Path, json_: bool, **options: Any) -> None:
    """Inspect a language model."""
    from nearfar.inspection.language import inspect_language
    from nearfar.inspection.language.page import language_page
    from nearfar.inspection.language.summary import measure_rows, verdict
    from nearfar.writing import folder_claimed

    with folder_claimed(out), progress("inspect") as update:
        found = inspect_language(model, data, **options, progress=update)
        figures = {**found.as_dict(), "data": data}
        report, numbers = _write(out, language_page(found, [("data", data)]), figures)
    if json_:
        print_json({**figures, "report": str(report), "numbers": str(numbers)})
        return
    print_table(["measure", model, "meaning"], [[str(cell) for cell in row] for row in measure_rows(found)])
    print(f"\n{verdict(found)}")
    for note in found.notes:
        say(note)
    print(f"\nreport  {report}\nnumbers {numbers}")


def _write(out: Path, page: Page, figures: dict[str, Any]) -> tuple[Path, Path]:
    """Write the report and the numbers: both are whole before either takes its place."""
    from nearfar.writing import draft_of

    report, numbers = out / "report.html", out / "inspect.json"
    with draft_of(report) as draft, draft_of(numbers) as lines:
        lines.write_text(_lines_of_json(figures), "utf-8")
        page.write(draft)
    return report, numbers


def _sizes(text: str | None, option: str, least: int = 1) -> list[int] | None:
    """`"2,4,6"` as integers, `none` as an empty list; None without the option."""
    if text is None:
        return None
    if text.strip().lower() == "none":
        return []
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= least for part in parts):
        raise InputError(
            f"expected a comma-separated list of integers, got {text!r}", field=option, remedy="use e.g. 2,4,6, or none"
        )
    return [int(part) for part in parts]


def _check_out(out: Path) -> None:
    from nearfar.writing import check_writable

    if out.is_file():
        raise InputError("expected a folder, got a file", file=out, field="--out", remedy="use another name")
    check_writable(out.absolute())


def _lines_of_json(value: dict[str, Any]) -> str:
    """JSON with one line for each top-level field."""
    import json

    def written(part: object) -> str:
        return json.dumps(part, ensure_ascii=False, allow_nan=False)

    return "{\n" + ",\n".join(f"{written(name)}: {written(of)}" for name, of in value.items()) + "\n}\n"


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"
