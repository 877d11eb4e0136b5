"""`nearfar predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.output import print_json, progress
from nearfar.cli.parameters import BatchSize, Columns, Json, MaxText, Model, SkipBroken, parsed


def command(
    model: Model,
    file: Annotated[
        str,
        typer.Argument(
            help="Rows with a column text; for a classifier of files, image or audio, or a folder of them.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(help="Label texts, one on each line (a classifier predicts its own labels).", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option(help="Maximum number of labels for each row.", min=1)] = 5,
    calibrate: Annotated[
        str | None,
        typer.Option(
            help="Frequency of the labels that probabilities are calibrated by: that of the model's training, or of "
            "rows with a column labels.",
            metavar="training|FILE",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Output file, .jsonl or .jsonl.gz.")] = Path("predictions.jsonl"),
    columns: Columns = None,
    batch_size: BatchSize = 64,
    skip_broken: SkipBroken = False,
    max_text: MaxText = None,
    json_: Json = False,
) -> None:
    """Write the most probable labels of each row to a file, of any label texts or of a classifier's labels."""
    mapping = parsed(columns)
    from nearfar.data.encodable import load_encodable
    from nearfar.kinds.loading import class_of
    from nearfar.prediction import check_options, check_target, counted_labels, labeller, predict_file, read_labels
    from nearfar.writing import file_claimed

    check_target(out)
    with file_claimed(out):
        kind = class_of(model)
        check_options(kind, labels=labels is not None, calibrate=calibrate is not None, top=top)
        names = None if labels is None else read_labels(labels)
        counts = calibrate if calibrate in (None, "training") else counted_labels(calibrate)
        how = labeller(kind.load(model), names, counts, batch_size=batch_size)
        rows, _ = load_encodable(file, how.medium or "text", columns=mapping, skip_broken=skip_broken)
        with progress("predict") as update:
            count = predict_file(how, rows, out, top=top, progress=update)
    of = len(how.labels)
    if json_:
        print_json({"out": str(out), "rows": count, "labels": of, "top": min(top, of)})
    else:
        print(f"{count:,} rows, {min(top, of):,} of {of:,} labels each, in {out}")
