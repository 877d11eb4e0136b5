"""Ten million short texts through `nearfar encode` (static model), `search` and `mine`: time, peak of memory, recall.

    NEARFAR_DATA=FOLDER python benchmarks/ten_million.py --work FOLDER [--texts 10000000] [--precision binary]

The texts are requests of `clinc150`, two joined in each, so that all are different and near ones exist. `mine` looks
for negatives of 1,000 pairs of test requests with the same intent. Needs 15 GB in the working folder for ten million. A
tenth of the texts runs first, with the same model: memory is flat if its peak is about the same. Figures are added to
`results/ten_million.json`, by number of texts and precision.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from claims._data import table
from nearfar.search import read_metadata
from nearfar.search.precision import StoredVectors, check_precision
from nearfar.search.recall import NEAREST, nearest_in_sample
from nearfar.writing import write_text

RESULT = Path(__file__).parent / "results" / "ten_million.json"
MODEL, QUERIES, SEED = "actions", 1_000, 0
BLOCK, CANDIDATES = 200_000, (100, 200, 400, 1000)


def texts(count: int) -> Iterator[str]:
    """Two requests in each, drawn with a seed; a number makes each text different."""
    known = sorted({row["text"] for row in table("clinc150", "clinc150-train.tsv.gz")})
    draw = random.Random(SEED)
    for row in range(count):
        yield f"{draw.choice(known)} and {draw.choice(known)} {row % 1000}"


def write_corpus(count: int, file: Path) -> None:
    with file.open("w", encoding="utf-8") as out:
        for row, text in enumerate(texts(count)):
            out.write(f'{{"_id": "{row}", "text": {json.dumps(text)}}}\n')


def write_queries(file: Path) -> None:
    """Requests of the test split, which are in no text of the corpus."""
    found = [row["text"] for row in table("clinc150", "clinc150-test.tsv.gz")][:QUERIES]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in found), "utf-8")


def write_pairs(file: Path) -> None:
    """Requests of the test split with another one of the same intent."""
    of: dict[str, list[str]] = {}
    for row in table("clinc150", "clinc150-test.tsv.gz"):
        of.setdefault(row["intent"], []).append(row["text"])
    pairs = [pair for texts in of.values() for pair in zip(texts[::2], texts[1::2], strict=False)]
    random.Random(SEED).shuffle(pairs)
    rows = ({"anchor": anchor, "positive": positive} for anchor, positive in pairs[:QUERIES])
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def own_memory(process: int) -> int:
    """Memory of a process in KiB without pages of files, which the system takes back when it needs them."""
    try:
        status = Path(f"/proc/{process}/status").read_text("utf-8")
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")), 0)


def timed(*command: str) -> dict[str, Any]:
    """Run a command of nearfar: seconds, peaks of memory in MiB (with and without pages of files), what it prints."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        called = [sys.executable, "-m", "nearfar", *command]
        process = subprocess.Popen(called, stdout=output, stderr=subprocess.STDOUT)
        own = 0
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            own = max(own, own_memory(process.pid))
            time.sleep(0.2)
        output.seek(0)
        printed = output.read()
    if status:
        raise SystemExit(f"nearfar {command[0]} failed:\n{printed[-2000:]}")
    found: dict[str, Any] = {
        "seconds": round(time.monotonic() - started, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
        "own_peak_mib": round(own / 1024),
    }
    print(f"nearfar {' '.join(command)}: {found}", flush=True)
    return {**found, "printed": [line for line in printed.splitlines() if "find" in line or "vectors" in line][-3:]}


def recall(vectors: Path, index: Path, precision: str) -> dict[str, Any]:
    """By number of candidates: the part of the 10 nearest documents of 200 that is found, and ms for each of them."""
    every = np.load(vectors, mmap_mode="r")
    sample = nearest_in_sample(every[start : start + BLOCK].copy() for start in range(0, len(every), BLOCK))
    metadata = read_metadata(index)
    stored = StoredVectors.open(index, check_precision(precision), metadata.scale, metadata.graphs)
    found = {}
    for candidates in CANDIDATES:
        stored.near(sample.vectors, NEAREST + 1, candidates=candidates)  # the first time, codes are read from the disk
        began = time.monotonic()
        rows, _ = stored.near(sample.vectors, NEAREST + 1, candidates=candidates)
        seconds = time.monotonic() - began
        shares = [
            len((set(exact.tolist()) - {own}) & set(of_one.tolist())) / NEAREST
            for own, exact, of_one in zip(sample.rows.tolist(), sample.nearest, rows, strict=True)
        ]
        found[str(candidates)] = {"recall": round(float(np.mean(shares)), 3), "ms": round(1e3 * seconds / len(rows), 1)}
    return found


def measured(count: int, precision: str, work: Path) -> dict[str, Any]:
    folder = work / str(count)
    folder.mkdir(parents=True, exist_ok=True)
    corpus, vectors, queries = folder / "corpus.jsonl", folder / "vectors.npy", work / "asked.jsonl"
    write_corpus(count, corpus)
    write_queries(queries)
    found: dict[str, Any] = {"encode": timed("encode", MODEL, str(corpus), "--out", str(vectors), "--as", "document")}
    index = ("--index", str(folder / f"{precision}.index"), "--precision", precision)
    search = ("search", MODEL, str(corpus), "--queries", str(queries), *index)
    found["index and search"] = timed(*search, "--vectors", str(vectors), "--out", str(folder / "first.jsonl"))
    found["search again"] = timed(*search, "--vectors", str(vectors), "--out", str(folder / "again.jsonl"))
    pairs = work / "pairs.jsonl"
    write_pairs(pairs)
    mined = ("mine", str(pairs), "--corpus", str(corpus), "--model", MODEL, *index[:2], "--relative-margin", "0.05")
    found["mine"] = timed(*mined, "--out", str(folder / "mined.jsonl"))
    found["recall by candidates"] = recall(vectors, folder / f"{precision}.index", precision)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=10_000_000)
    parser.add_argument("--precision", choices=("float32", "int8", "binary"), default="binary")
    asked = parser.parse_args()
    results = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    for count in (asked.texts // 10, asked.texts):
        found = measured(count, asked.precision, asked.work)
        results[f"{count:,} texts, {asked.precision}"] = {
            "queries": QUERIES,
            "cores": os.cpu_count(),
            "load_after": round(os.getloadavg()[0], 1),
            **found,
        }
        write_text(json.dumps(results, indent=1) + "\n", RESULT)


if __name__ == "__main__":
    main()
