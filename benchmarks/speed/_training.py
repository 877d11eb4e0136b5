"""Contests of losses in the trainer of sentence-transformers: pairs a second, in turns."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from transformers import TrainerCallback

from nearfar.losses import ContrastLoss
from nearfar.models import load

Build = Callable[[SentenceTransformer], torch.nn.Module]

PLAIN: dict[str, Build] = {
    "nearfar": lambda model: ContrastLoss(model),
    "sentence-transformers": lambda model: MultipleNegativesRankingLoss(model),
}


def small(tokens: int) -> dict[str, Build]:
    """The loss with forward passes of so many tokens."""
    return {f"nearfar, mini_batch_num_tokens={tokens}": lambda model: ContrastLoss(model, mini_batch_num_tokens=tokens)}


def cached(sizes: Sequence[int], tokens: int) -> dict[str, Build]:
    """Losses with the gradient cache: the peer's with chunks of some rows, and of so many tokens."""

    def peer(**chunk: int) -> Build:
        return lambda model: CachedMultipleNegativesRankingLoss(model, **chunk)  # type: ignore[arg-type]

    return {
        "nearfar": lambda model: ContrastLoss(model, cached=True),
        **{f"sentence-transformers, mini_batch_size={size}": peer(mini_batch_size=size) for size in sizes},
        f"sentence-transformers, mini_batch_num_tokens={tokens}": peer(mini_batch_num_tokens=tokens),
    }


@dataclass(frozen=True)
class Contest:
    """One batch size, and what all contestants have in common.

    Args:
        steps: Optimiser steps of a turn that are timed.
        warm_up: Steps before them that are not.
        bf16: Autocast to bfloat16.
        workers: Processes that tokenise ahead.
    """

    rows: Dataset
    batch_size: int
    steps: int
    warm_up: int
    max_length: int
    model: str = "minilm"
    bf16: bool = False
    workers: int = 0

    def run(self, contestants: dict[str, Build], rounds: int) -> dict[str, Any]:
        """Medians of pairs a second, and how often faster nearfar is than the best of the others."""
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for round_ in range(rounds):
            for name, build in contestants.items():
                rate = self._turn(build, seed=round_)
                rates[name].append(rate)
                print(f"batch {self.batch_size}, round {round_ + 1}: {rate:8.1f} pairs/s  {name}", flush=True)
        medians = {name: statistics.median(values) for name, values in rates.items()}
        peers = [name for name in medians if not name.startswith("nearfar")]
        best = max(peers, key=medians.__getitem__)
        paired = {
            name: [ours / theirs for ours, theirs in zip(rates[name], rates[best], strict=True)]
            for name in medians
            if name not in peers
        }
        return {
            "batch_size": self.batch_size,
            "pairs_per_second": rates,
            "median": medians,
            "best_peer": best,
            "ratio_to_best_peer": statistics.median(paired["nearfar"]),
            "ratios_to_best_peer": paired.pop("nearfar"),
            "with_options": {name: statistics.median(ratios) for name, ratios in paired.items()},
            "ratio_to_each": {name: medians["nearfar"] / medians[name] for name in peers},
        }

    def _turn(self, build: Build, seed: int) -> float:
        model = load(self.model, max_length=self.max_length)
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            arguments = SentenceTransformerTrainingArguments(
                output_dir=folder,
                max_steps=self.steps + self.warm_up,
                per_device_train_batch_size=self.batch_size,
                bf16=self.bf16,
                dataloader_num_workers=self.workers,
                report_to=[],
                disable_tqdm=True,
                save_strategy="no",
                logging_strategy="no",
                dataloader_pin_memory=False,
                seed=seed,
            )
            SentenceTransformerTrainer(model, arguments, self.rows, loss=build(model), callbacks=[clock]).train()
        return self.steps * self.batch_size / sum(clock.seconds[self.warm_up :])


class Clock(TrainerCallback):
    """Seconds of each optimiser step, data loading included."""

    def __init__(self) -> None:
        self.last, self.seconds = 0.0, []

    def on_train_begin(self, *_: object, **__: object) -> None:
        self.last = _now()

    def on_step_end(self, *_: object, **__: object) -> None:
        now = _now()
        self.seconds.append(now - self.last)
        self.last = now


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
