"""Spoken requests for coconut's claim: the scenarios of SLURP, read by espeak-ng, in streams of 3 and of 6 tasks.

    COCONUT_PARTS=slurp NEARFAR_READINGS=FILE python benchmarks/claims/coconut.py --metric SLURP [--jobs 8]

computes these figures alone, best on a GPU: 13 runs of 300 steps for each seed. FILE is the pack that
`benchmarks/readings.py --pack` writes, or the folder of its `--out`. `COCONUT_TRIAL=1` uses few rows and steps, and
names for its figures that are not reported.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import tempfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import soundfile
import torch
from _claim import Also, kept
from datasets import Dataset
from pyarrow import parquet

import nearfar
from nearfar.models.towers import two_towers

TASKS = (3, 6)
SCENARIOS = 18
#: A GPU was at hand for so many seeds, and for all tasks at once in so many of them.
SEEDS, BOUNDS = 4, 4
EPOCHS, MEMORY, SECONDS = 3, 2, 4
RATES = (1e-4, 3e-4, 1e-3)
#: One training text of so many chooses the learning rate, in a run with a seed that is not reported.
VALIDATION_SHARE, TUNED_ON = 5, 1_000
TRIAL = bool(os.environ.get("COCONUT_TRIAL"))
#: Checkpoints, which nobody resumes here, only at the end of each task.
SETTINGS: dict[str, Any] = {
    "epochs": EPOCHS,
    "save_steps": 100_000,
    **({"max_steps": 6, "batch_size": 8} if TRIAL else {}),
}

OURS, REPLAY = "COCONUT: replay, NSPT and MM", "plain replay"
TOGETHER = "all tasks at once"
#: The settings of each arm; `memory` multiplies the rehearsed rows.
ARMS: dict[str, dict[str, Any]] = {
    OURS: {},
    REPLAY: {"nspt_weight": 0, "mm_weight": 0},
    "replay and NSPT": {"mm_weight": 0},
    "replay and NTPT": {"mm_weight": 0, "negatives": "teacher"},
    "plain replay, twice the rehearsed rows": {"nspt_weight": 0, "mm_weight": 0, "memory": 2},
    "fine-tuning": {"nspt_weight": 0, "mm_weight": 0, "memory": 0},
    TOGETHER: {"nspt_weight": 0, "mm_weight": 0, "offline": True},
}

DATA = (
    f"SLURP: 2,033 requests of its {SCENARIOS} scenarios, read by espeak-ng, in streams of 3 and 6 tasks in an order "
    "of its own for each seed: 3,288 readings of 1,644 texts in six voices, and 778 readings of the other texts in two "
    "other voices for testing"
)
BACKBONE = "SLURP: the encoder of Whisper tiny.en, and all-MiniLM-L6-v2, frozen"
BUDGET = (
    f"SLURP: {EPOCHS} epochs a task, batches of 32, {MEMORY} rehearsed readings of each scenario (1 %), and for all "
    f"arms the learning rate of {RATES} that is best for all tasks at once on a fifth of the training texts"
)

Rows = list[dict[str, Any]]


@cache
def readings() -> Rows:
    """All rows, with their audio as WAV in memory, which is decoded in a tenth of the time of Ogg Opus."""
    place = Path(os.environ.get("NEARFAR_READINGS", ""))
    if not place.name or not place.exists():
        sys.exit("set NEARFAR_READINGS to the pack, or the folder, that benchmarks/readings.py has written")
    if place.is_dir():
        rows = [json.loads(line) for line in (place / "readings.jsonl").read_text("utf-8").splitlines()]
    else:
        rows = parquet.read_table(place).to_pylist()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = _few(rows) if TRIAL else rows
        audio = pool.map(partial(_as_wav, place), [row["audio"] for row in rows])
        return [{**row, "audio": value} for row, value in zip(rows, audio, strict=True)]


def _few(rows: Rows) -> Rows:
    """The first rows of each label, for a trial."""
    seen: Counter[tuple[str, str]] = Counter()
    kinds = [(row["split"], row["label"]) for row in rows]
    numbers = [seen.update([kind]) or seen[kind] for kind in kinds]
    most = {"train": 4, "test": 1}
    return [row for row, kind, number in zip(rows, kinds, numbers, strict=True) if number <= most[kind[0]]]


def _as_wav(place: Path, audio: Any) -> dict[str, Any]:
    file = place / audio if isinstance(audio, str) else io.BytesIO(audio["bytes"])
    samples, rate = soundfile.read(file, dtype="float32")
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV", subtype="PCM_16")
    return {"bytes": stream.getvalue(), "path": None}


def dataset(rows: Rows) -> Dataset:
    return Dataset.from_list([{name: row[name] for name in ("audio", "text", "label")} for row in rows])


def hearing() -> Any:
    """Whisper's encoder, and MiniLM, frozen: the rates of a speech encoder would spoil it.

    On a GPU, which also computes the spectra, products are in TF32.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    seconds = 1 if TRIAL else SECONDS
    model = two_towers("minilm", audio="whisper-tiny", frozen="text", seconds=seconds, device=device)
    towers: Any = model[0]
    towers.sub_modules["audio"][0].processing_kwargs["audio"]["device"] = device
    return model


def trained(tasks: dict[str, Rows], test: Rows, seed: int, rate: float, arm: str) -> dict[str, float]:
    """Average accuracy over the stages and last accuracy; all tasks at once have only the last."""
    options = dict(ARMS[arm])
    memory = MEMORY * options.pop("memory", 1)
    options |= {"memory_per_class": memory} if memory else {"memory_share": 0.0}
    held, together = dataset(test), arm == TOGETHER
    with tempfile.TemporaryDirectory() as folder:
        made = nearfar.train(
            "coconut",
            {name: dataset(rows) for name, rows in tasks.items()},
            model=hearing(),
            evaluation=None if together else held,
            out=f"{folder}/run",
            seed=seed,
            learning_rate=rate,
            **SETTINGS,
            **options,
        )
    if together:
        score = nearfar.evaluate(made.model, held).score
        return {"average": score, "last": score}
    return {"average": made.metrics["stream"]["average_seen"], "last": made.metrics["stream"]["last_seen"]}


def stream(seed: int, tasks: int) -> dict[str, Rows]:
    """The training rows, in tasks of equally many scenarios, in an order of its own for each seed."""
    rows = [row for row in readings() if row["split"] == "train"]
    names = random.Random(seed).sample(sorted({row["label"] for row in rows}), SCENARIOS)
    parts = [names[place::tasks] for place in range(tasks)]
    return {f"task {n}": [row for row in rows if row["label"] in part] for n, part in enumerate(parts, 1)}


def validated(rate: float) -> float:
    """The accuracy of a learning rate: all tasks at once, on a part of the training texts."""

    def compute() -> float:
        tasks = stream(TUNED_ON, TASKS[0])
        chosen = [row for rows in tasks.values() for row in rows if for_validation(row)]
        left = {name: [row for row in rows if not for_validation(row)] for name, rows in tasks.items()}
        return trained(left, chosen, TUNED_ON, rate, TOGETHER)["last"]

    return kept("coconut", named_in_trial(f"slurp, validation, {rate:g}"), compute)


def for_validation(row: dict[str, Any]) -> bool:
    return zlib.crc32(f"validation {row['text']}".encode()) % VALIDATION_SHARE == 0


def figures(seed: int, tasks: int, arm: str) -> dict[str, float]:
    """Both metrics of an arm. All tasks at once are the same run for both streams."""

    def compute() -> dict[str, float]:
        test = [row for row in readings() if row["split"] == "test"]
        return trained(stream(seed, tasks), test, seed, max(RATES, key=validated), arm)

    of = "" if arm == TOGETHER else f"{tasks} tasks, "
    return kept("coconut", named_in_trial(f"slurp, {of}seed {seed}, {arm}"), compute)


def named_in_trial(figure: str) -> str:
    return f"trial of {figure}" if TRIAL else figure


def also() -> list[Also]:
    """Both metrics of both streams, and how far all tasks at once are above plain replay."""
    found = []
    for tasks in TASKS:
        for metric in ("average", "last"):
            named = {arm: partial(_figure, tasks=tasks, arm=arm, metric=metric) for arm in ARMS if arm != TOGETHER}
            found.append(Also(f"{metric} accuracy, SLURP in {tasks} tasks", OURS, REPLAY, named, SEEDS))
    bound = {arm: partial(_figure, tasks=TASKS[0], arm=arm, metric="last") for arm in (TOGETHER, REPLAY)}
    return [*found, Also(f"last accuracy of the bound, SLURP in {TASKS[0]} tasks", TOGETHER, REPLAY, bound, BOUNDS)]


def _figure(seed: int, tasks: int, arm: str, metric: str) -> float:
    return figures(seed, tasks, arm)[metric]
