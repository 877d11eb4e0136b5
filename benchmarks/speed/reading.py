"""Time to read rows from files: nearfar, which checks every value, and datasets and pyarrow, which do not.

    python benchmarks/speed/reading.py [--rows 200000] [--rounds 5] [--out FILE]

Pairs of texts of 5 to 25 common English words, sampled with a fixed seed. `nearfar, value by value` reads JSON lines
only with Python's parser, as for lines that Arrow's parser does not accept. The cache of datasets is empty in every
round. The contestants take turns in one process; the result is the median over the rounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from _timing import interleaved, summary, surroundings, write

from nearfar.data import _json_arrow, load

TEXT = (
    "the of and a to in is you that it he was for on are as with they at be this have from or one had by word but not "
    "what all were we when your can said there use an each which she do how their if will up other about out many then"
)
FORMATS = ("jsonl", "csv", "tsv", "parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-reading.json")
    args = parser.parse_args()
    datasets.disable_progress_bars()

    about = surroundings("nearfar", "datasets", "pyarrow")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), args.rows)
        for kind, file in files.items():
            seconds = interleaved(readers(kind, str(file)), args.rounds)
            found[kind] = {
                "megabytes": round(file.stat().st_size / 1e6, 1),
                "readers": {name: summary(values) for name, values in seconds.items()},
            }
            of = found[kind]["readers"]
            for name in of:
                of[name]["times_pyarrow"] = round(of[name]["median_s"] / of["pyarrow"]["median_s"], 2)
                print(f"{kind:8} {of[name]['median_s']:7.3f} s {of[name]['times_pyarrow']:6.2f} times pyarrow  {name}")
    what = "time to read and check rows of two texts"
    write(args.out, {"what": what, **about, "rows": args.rows, "formats": found})


def write_files(folder: Path, count: int) -> dict[str, Path]:
    """The same rows in every format."""
    draw, words = random.Random(0), TEXT.split()

    def text() -> str:
        return " ".join(draw.choices(words, k=draw.randint(5, 25)))

    rows = [{"anchor": text(), "positive": text()} for _ in range(count)]
    files = {kind: folder / f"pairs.{kind}" for kind in FORMATS}
    with files["jsonl"].open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    for kind, delimiter in (("csv", ","), ("tsv", "\t")):
        with files[kind].open("w", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
            writer.writerow(rows[0])
            writer.writerows(row.values() for row in rows)
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), files["parquet"])
    return files


def readers(kind: str, file: str) -> dict[str, Callable[[], Any]]:
    """The contestants by name."""
    tabs = pyarrow.csv.ParseOptions(delimiter="\t" if kind == "tsv" else ",")
    arrow: dict[str, Callable[[], Any]] = {
        "jsonl": lambda: pyarrow.json.read_json(file),
        "csv": lambda: pyarrow.csv.read_csv(file, parse_options=tabs),
        "tsv": lambda: pyarrow.csv.read_csv(file, parse_options=tabs),
        "parquet": lambda: pyarrow.parquet.read_table(file),
    }
    builder = {"jsonl": "json", "tsv": "csv"}.get(kind, kind)
    options = {"sep": "\t"} if kind == "tsv" else {}

    def with_datasets() -> None:
        with tempfile.TemporaryDirectory() as cache:
            datasets.load_dataset(builder, data_files=file, split="train", cache_dir=cache, **options)

    def value_by_value() -> None:
        parse = _json_arrow.parse
        _json_arrow.parse = lambda data, types: None
        try:
            load(file)
        finally:
            _json_arrow.parse = parse

    slow = {"nearfar, value by value": value_by_value} if kind == "jsonl" else {}
    return {"nearfar": lambda: load(file), **slow, "datasets": with_datasets, "pyarrow": arrow[kind]}


if __name__ == "__main__":
    main()
