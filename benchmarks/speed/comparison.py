"""Time of `nearfar compare` with forked runs, and with runs that each start a Python of their own.

    python benchmarks/speed/comparison.py [--seeds 4] [--rounds 5] [--out FILE]

MiniLM is trained by infonce for three steps with each seed, so that most of the time is that of starting, loading,
saving and evaluating, which every run of a comparison needs. CPU seconds are those of the runs' processes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from itertools import permutations
from pathlib import Path
from unittest.mock import patch

import datasets
from _timing import interleaved, summary, surroundings, write
from datasets import Dataset

import nearfar

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank")
ROWS = [
    {"anchor": f"the {first} sits on a {second}", "positive": f"a {first} in the {second}"}
    for first, second in permutations(NOUNS, 2)
]
STEPS, BATCH, TRAINED_ON = 3, 8, 40


def compare(seeds: int) -> float:
    """Compare, and return the CPU seconds of the runs."""
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        nearfar.compare(
            "infonce",
            data=Dataset.from_list(ROWS[:TRAINED_ON]),
            evaluate_on=Dataset.from_list(ROWS[TRAINED_ON:]),
            seeds=seeds,
            model="minilm",
            out=Path(folder) / "out",
            keep="none",
            max_steps=STEPS,
            batch_size=BATCH,
        )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-comparison.json")
    asked = parser.parse_args()
    datasets.disable_progress_bars()
    cpu: dict[str, list[float]] = {"forked": [], "a Python of its own": []}

    def forked() -> None:
        cpu["forked"].append(compare(asked.seeds))

    def alone() -> None:
        with patch("nearfar.comparison.forking.can_fork", lambda: False):
            cpu["a Python of its own"].append(compare(asked.seeds))

    about = surroundings("nearfar", "torch", "transformers", "sentence-transformers")
    seconds = interleaved({"forked": forked, "a Python of its own": alone}, asked.rounds)
    found = {
        name: {**summary(values), "cpu": summary(cpu[name][1:])}  # the first one is the warm-up
        for name, values in seconds.items()
    }
    for name, each in found.items():
        print(f"{each['median_s']:6.1f} s, {each['cpu']['median_s']:6.1f} CPU s: {name}")
    what = f"time of a comparison: the base model and {asked.seeds} runs of {STEPS} steps each"
    write(asked.out, {"what": what, **about, "seeds": asked.seeds, "runs": found})


if __name__ == "__main__":
    main()
