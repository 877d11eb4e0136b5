"""Texts per second of `nearfar encode` on Ray with one and two workers, and a projection for 100 million texts.

    python benchmarks/scale.py [--model actions] [--texts 200000] [--batch-size 64] [--out FILE]

The result file contains one result for each model; those of other models are kept.

The time of a run is from its first window of vectors to its last one, so that starting Ray and loading the model, which
a large corpus pays once, are reported by themselves. The files of both runs have the same bytes, or the run fails.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from nearfar.data.files import sha256
from nearfar.encoding import encode_file_on_ray
from nearfar.models.encoding_windows import window_size
from nearfar.writing import write_text

RESULT = Path(__file__).parent / "results" / "scale.json"
SENTENCES = ("i would like to book a table for two", "what is the date of the next flight", "please cancel my order")
WORDS = [word for sentence in SENTENCES for word in sentence.split()]
PROJECTED = 100_000_000
LEAST_WINDOWS = 32
ASSUMPTIONS = [
    "texts of the same length as here (mean words below), on processors like this one",
    "each worker beyond the second adds what the second one added",
    "the process that reads texts and writes vectors keeps up; the file is on a disk of its own speed",
    "starting Ray and loading the model are paid once",
]


def texts_of(count: int) -> list[str]:
    """Texts of 3 to 20 words, with a seed."""
    drawn = random.Random(0)
    return [f"{' '.join(drawn.choices(WORDS, k=drawn.randint(3, 20)))} {row}" for row in range(count)]


def run(model: str, texts: list[str], out: Path, workers: int, batch_size: int) -> dict[str, Any]:
    """One encoding: seconds until the first window, texts per second after it, and the hash of the file."""
    seen: list[tuple[float, int]] = []
    started = time.monotonic()
    _, dimension = encode_file_on_ray(
        model,
        texts,
        out,
        workers=workers,
        batch_size=batch_size,
        progress=lambda done, _: seen.append((time.monotonic(), done)),
    )
    (first, before), (last, after) = seen[0], seen[-1]
    return {
        "workers": workers,
        "seconds_to_first_window": round(first - started, 1),
        "texts_per_second": round((after - before) / (last - first)),
        "dimension": dimension,
        "bytes": out.stat().st_size,
        "sha256": sha256(out),
    }


def projected(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hours for 100 million texts: of one and two workers at their own rates; of 32 only if the second one helped."""
    one, two = (each["texts_per_second"] for each in runs)
    rates = {1: one, 2: two} | ({32: one + 31 * (two - one)} if two > one else {})
    return [{"workers": workers, "hours": round(PROJECTED / rate / 3600, 1)} for workers, rate in rates.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="actions")
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    # The windows of two workers arrive in pairs: with few of them, their rate would be too high.
    least = LEAST_WINDOWS * window_size(arguments.batch_size)
    if arguments.texts < least:
        parser.error(f"--texts: must be at least {least:,}, {LEAST_WINDOWS} windows")
    texts = texts_of(arguments.texts)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            run(arguments.model, texts, Path(folder) / f"{workers}.npy", workers, arguments.batch_size)
            for workers in (1, 2)
        ]
    if runs[0]["sha256"] != runs[1]["sha256"]:
        raise SystemExit("the files of one and of two workers differ")
    cores = os.cpu_count() or 1
    result = {
        "texts": len(texts),
        "batch_size": arguments.batch_size,
        "mean_words": round(sum(len(text.split()) for text in texts) / len(texts), 1),
        "cores": cores,
        "load_before": round(load, 1),
        # Rates on a machine that others use are lower, and say little about the gain of a second worker.
        "shared_machine": load > cores / 2,
        "runs": runs,
        "projection": {
            "texts": PROJECTED,
            "assumptions": ASSUMPTIONS,
            "gigabytes": round(PROJECTED * 4 * runs[0]["dimension"] / 1e9, 1),
            "rows": projected(runs),
        },
    }
    results = json.loads(arguments.out.read_text("utf-8")) if arguments.out.exists() else {}
    results[arguments.model] = result
    write_text(json.dumps(results, indent=1) + "\n", arguments.out)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
