"""Time of `nearfar flow` on dialogues of SGD, with its encoder of actions and with MiniLM.

    python benchmarks/speed/flow.py [--dialogues 10000] [--rounds 3] [--texts 1000] [--whole] [--out FILE]

The command runs in a new process with its defaults and without stored vectors: reading, encoding, clustering, the
quality on held-out dialogues, and the page. Both encoders also encode the same random sample of the texts, alternately
in every round. From their rates follows the time of the command with MiniLM, a projection; `--whole` measures it.

CPU time is of all threads of a process. On a busy machine it is nearer than the wall time to what a free core takes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import interleaved, summary, surroundings, write

from nearfar.dialogue import read
from nearfar.dialogue.vectors import vectors_of
from nearfar.models import load

PARTS = ("train", "dev", "test")
LENGTH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NEARFAR_DATA", "../shared/data")))
    parser.add_argument("--dialogues", type=int, default=10_000, help="maximum number of dialogues")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=1000, help="number of texts in the sample that both encode")
    parser.add_argument("--whole", action="store_true", help="also run the command with MiniLM")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-flow.json")
    args = parser.parse_args()
    if not (args.data / "sgd").is_dir():
        sys.exit(f"{args.data / 'sgd'} is missing: set NEARFAR_DATA to the folder that contains sgd/")

    about = surroundings("nearfar", "torch", "sentence-transformers", "scipy")
    models = ("actions", "minilm") if args.whole else ("actions",)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sgd.jsonl"
        count = write_dialogues(args.data / "sgd", file, args.dialogues)
        runs: dict[str, list[dict[str, Any]]] = {model: [] for model in models}
        for round_ in range(args.rounds):
            for model in models:
                runs[model].append(run(model, file, Path(folder) / f"{model}-{round_}"))
                print(model, runs[model][-1], file=sys.stderr, flush=True)
        texts = read(file).texts
    draw = np.random.default_rng(0).choice(len(texts), min(args.texts, len(texts)), replace=False)
    sample = [texts[i] for i in draw.tolist()]
    found = runs["actions"][0]["found"]
    encoding = rates(sample, args.rounds)
    whole = {model: figures(of) for model, of in runs.items()}
    if not args.whole:
        whole["minilm"] = projected(whole["actions"], encoding, len(texts))
    write(
        args.out,
        {
            "what": "time of `nearfar flow` with the encoder of actions and with MiniLM",
            **about,
            "data": f"the first {count:,} dialogues of Schema-Guided Dialogue (train, dev, test), none repeated",
            **{key: found[key] for key in ("dialogues", "turns", "texts", "actions")},
            "threads": torch.get_num_threads(),
            "sample": len(sample),
            "encoding": encoding,
            "command_with": whole,
        },
    )


def write_dialogues(folder: Path, file: Path, most: int) -> int:
    """Write the first dialogues of SGD to one file; return their number."""
    count = 0
    with file.open("w", encoding="utf-8") as out:
        for part in PARTS:
            with gzip.open(folder / f"sgd-{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
                for line in lines:
                    if count == most:
                        return count
                    out.write(line)
                    count += 1
    return count


def run(model: str, file: Path, folder: Path) -> dict[str, Any]:
    """The command in a new process: seconds, CPU seconds of all threads, and what it prints."""
    out = str(folder / "flow.html")
    command = [sys.executable, "-m", "nearfar", "flow", str(file), "--model", model, "--out", out, "--json"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_s": cpu, "found": json.loads(done.stdout)}


def figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds."""
    cpu = [round(of["cpu_s"], 2) for of in runs]
    return {**summary([of["seconds"] for of in runs]), "median_cpu_s": statistics.median(cpu), "rounds_cpu_s": cpu}


def rates(sample: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds per text of each encoder: wall time, and CPU time of all threads."""
    encoders = {name: load(name, max_length=LENGTH) for name in ("actions", "minilm")}
    cpu: dict[str, list[float]] = {name: [] for name in encoders}

    def encode(name: str) -> None:
        start = time.process_time()
        vectors_of(encoders[name], sample)
        cpu[name].append(time.process_time() - start)

    seconds = interleaved({name: lambda name=name: encode(name) for name in encoders}, rounds)
    each = 1e6 / len(sample)
    return {
        name: {
            "us_per_text": round(statistics.median(of) * each, 1),
            # The first round is for warm-up.
            "cpu_us_per_text": round(statistics.median(cpu[name][1:]) * each, 1),
        }
        for name, of in seconds.items()
    }


def projected(actions: dict[str, Any], encoding: dict[str, dict[str, float]], texts: int) -> dict[str, Any]:
    """The time of the command with MiniLM: the same, but for the encoding."""
    more = {key: texts * (encoding["minilm"][key] - encoding["actions"][key]) / 1e6 for key in encoding["minilm"]}
    return {
        "projected": True,
        "median_s": round(actions["median_s"] + more["us_per_text"], 1),
        "median_cpu_s": round(actions["median_cpu_s"] + more["cpu_us_per_text"], 1),
    }


if __name__ == "__main__":
    main()
