"""Pairs per second in training, compared with losses of sentence-transformers in the same trainer.

    python benchmarks/speed/training.py [--rounds 5] [--out FILE]

All contestants have the same model (MiniLM), rows (docstrings of the standard library, as in `nearfar demo`), order,
batch size, optimiser and precision, and take turns in one process, so that changes of the machine's speed affect all of
them. A turn is a few optimiser steps; the result is the median over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _timing import surroundings, write
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from transformers import TrainerCallback

from nearfar.demo.docstrings import harvest
from nearfar.losses import ContrastLoss
from nearfar.models import load

Build = Callable[[SentenceTransformer], torch.nn.Module]

PLAIN: dict[str, Build] = {
    "nearfar": lambda model: ContrastLoss(model),
    "sentence-transformers": lambda model: MultipleNegativesRankingLoss(model),
}
CACHED: dict[str, Build] = {
    "nearfar": lambda model: ContrastLoss(model, cached=True),
    **{
        f"sentence-transformers, mini_batch_size={size}": (
            lambda model, size=size: CachedMultipleNegativesRankingLoss(model, mini_batch_size=size)
        )
        for size in (32, 64)
    },
    "sentence-transformers, mini_batch_num_tokens=2048": lambda model: CachedMultipleNegativesRankingLoss(
        model, mini_batch_num_tokens=2048
    ),
}


class Clock(TrainerCallback):
    """Seconds of each optimiser step, including data loading."""

    def __init__(self) -> None:
        self.last, self.seconds = None, []

    def on_train_begin(self, *_: object, **__: object) -> None:
        self.last = time.perf_counter()

    def on_step_end(self, *_: object, **__: object) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now


def turn(build: Build, rows: Dataset, batch_size: int, steps: int, max_length: int, seed: int) -> float:
    """Pairs per second over `steps` steps. With 64 pairs there is one step for warm-up before; with 512 none is "
    "needed."""
    warm_up = 1 if batch_size < 256 else 0
    model = load("minilm", max_length=max_length)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            max_steps=steps + warm_up,
            per_device_train_batch_size=batch_size,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            dataloader_pin_memory=False,
            seed=seed,
        )
        SentenceTransformerTrainer(model, arguments, rows, loss=build(model), callbacks=[clock]).train()
    return steps * batch_size / sum(clock.seconds[warm_up:])


def contest(
    contestants: dict[str, Build], rows: Dataset, batch_size: int, steps: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Medians of pairs per second, and the speed of nearfar relative to the best of the others."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(args.rounds):
        for name, build in contestants.items():
            rates[name].append(turn(build, rows, batch_size, steps, args.max_length, seed=round_))
            print(f"batch {batch_size}, round {round_ + 1}: {rates[name][-1]:8.1f} pairs/s  {name}", flush=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    best = max((name for name in medians if name != "nearfar"), key=medians.__getitem__)
    paired = [ours / theirs for ours, theirs in zip(rates["nearfar"], rates[best], strict=True)]
    return {
        "batch_size": batch_size,
        "pairs_per_second": rates,
        "median": medians,
        "best_peer": best,
        "ratio_to_best_peer": statistics.median(paired),
        "ratios_to_best_peer": paired,
        "ratio_to_each": {name: medians["nearfar"] / value for name, value in medians.items() if name != "nearfar"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain-steps", type=int, default=8)
    parser.add_argument("--cached-steps", type=int, default=1)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-training.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    about = surroundings("torch", "transformers", "sentence-transformers")
    entries = harvest()
    rows = Dataset.from_dict({"anchor": [e.summary for e in entries], "positive": [e.text for e in entries]})
    plain = contest(PLAIN, rows, 64, args.plain_steps, args)
    cached = contest(CACHED, rows, 512, args.cached_steps, args)
    for name, found in (("plain, batch 64", plain), ("gradient cache, batch 512", cached)):
        print(f"{name}: {found['ratio_to_best_peer']:.2f} times {found['best_peer']}")
    write(
        args.out,
        {
            "what": "pairs per second in training: MiniLM, float32, docstring pairs of the standard library",
            **about,
            "threads": args.threads,
            "rows": len(rows),
            "max_length": args.max_length,
            "plain": plain,
            "cached": cached,
        },
    )


if __name__ == "__main__":
    main()
