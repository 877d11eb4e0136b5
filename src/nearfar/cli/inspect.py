"""`nearfar inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nearfar.cli.output import print_json, print_table, progress, say
from nearfar.cli.parameters import BatchSize, Columns, Json, Seed, SkipBroken, parsed
from nearfar.errors import InputError

#: Rows of each list that the terminal shows.
SHOWN = 3


def command(
    model: Annotated[
        str,
        typer.Argument(
            help="A folder, a hub id, or an alias such as minilm; or vectors of the data's texts (.npy, .parquet).",
            show_default=False,
        ),
    ],
    data: Annotated[str, typer.Option(help="Rows, or a retrieval folder, to look at the space with.")],
    against: Annotated[
        str | None, typer.Option(metavar="MODEL2", help="Another model, side by side, with paired intervals.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of report.html and inspect.json.")] = Path("runs/inspect"),
    rows: Annotated[int, typer.Option(help="Of more rows than these, so many are drawn.", min=3)] = 10_000,
    near_duplicate: Annotated[
        float, typer.Option(metavar="COSINE", help="Cosine from which two texts are near-duplicates.")
    ] = 0.95,
    layers: Annotated[
        str | None, typer.Option(metavar="N,N,...|none", help="Depths to measure at; all otherwise.")
    ] = None,
    dims: Annotated[
        str | None, typer.Option(metavar="D,D,...|none", help="Widths to measure at; powers of two otherwise.")
    ] = None,
    map_: Annotated[str, typer.Option("--map", help="pca or tsne.")] = "pca",
    split: Annotated[
        str | None, typer.Option(help="Which split, where there are several.", show_default="train; retrieval: test")
    ] = None,
    columns: Columns = None,
    batch_size: BatchSize = 64,
    seed: Seed = 0,
    skip_broken: SkipBroken = False,
    json_: Json = False,
) -> None:
    """Look at the space that a model makes of your data, and find false negatives and duplicates in the data."""
    depths, widths, mapping = _sizes(layers, "--layers"), _sizes(dims, "--dims"), parsed(columns)
    _check_out(out)

    from nearfar.inspection import inspect
    from nearfar.reports.inspection import inspection_page, measure_rows, verdict
    from nearfar.writing import write_text

    with progress("inspect") as update:
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
        )
    out.mkdir(parents=True, exist_ok=True)
    report, numbers = out / "report.html", out / "inspect.json"
    figures = {**found.as_dict(), "data": data}
    write_text(_lines_of_json(figures), numbers)
    inspection_page(found, [("data", data)]).write(report)
    if json_:
        print_json({**figures, "report": str(report), "numbers": str(numbers)})
        return
    heads = ["measure", model] if found.against is None else ["measure", model, found.against.model, "difference"]
    print_table(heads, [["-" if cell is None else str(cell) for cell in row[:-1]] for row in measure_rows(found)])
    print(f"\n{verdict(found)}")
    for rival in found.false_negatives[:SHOWN]:
        print(f"{rival.item.name}: {_short(rival.item.text)}")
        print(f"  {rival.cosine:.3f}  {_short(rival.partner.text)}")
        print(f"  {rival.stranger_cosine:.3f}  {_short(rival.stranger.text)}  ({rival.stranger.name})")
    for note in found.notes:
        say(note)
    print(f"\nreport  {report}\nnumbers {numbers}")


def _sizes(text: str | None, option: str) -> list[int] | None:
    """`"2,4,6"` as numbers, `none` as an empty list; None where the option was not given."""
    if text is None:
        return None
    if text.strip().lower() == "none":
        return []
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise InputError(f"{text!r} is no list of numbers", field=option, remedy="write e.g. 2,4,6, or none")
    return [int(part) for part in parts]


def _check_out(out: Path) -> None:
    from nearfar.writing import check_writable

    if out.is_file():
        raise InputError("this is a file", file=out, field="--out", remedy="name a folder")
    check_writable(out.absolute())


def _lines_of_json(value: dict[str, Any]) -> str:
    """JSON with a line for each of the outermost fields."""
    import json

    def written(part: object) -> str:
        return json.dumps(part, ensure_ascii=False, allow_nan=False)

    return "{\n" + ",\n".join(f"{written(name)}: {written(of)}" for name, of in value.items()) + "\n}\n"


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"
