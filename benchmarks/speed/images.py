"""Rows per second of `vlp_baselines` on images: the loader alone, the step alone, and training.

    python benchmarks/speed/images.py [--rounds 3] [--workers 0 1 2] [--out FILE]

The loader reads a JPEG file, makes all views of image and text, and prepares them for the towers. The step is the loss,
its backward pass and the optimiser, on batches that are ready. Training is both in nearfar's trainer, where the loader
works ahead in `workers` processes: it is as fast as the slower of the two if nothing waits. The contestants take turns
in one process; rates leave out the first batch, for which processes are started.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import surroundings, write
from _training import Clock
from datasets import Dataset
from PIL import Image

from nearfar import recipes
from nearfar.demo.docstrings import harvest
from nearfar.kinds.kind import Setting
from nearfar.kinds.options import with_settings
from nearfar.models import load
from nearfar.training.stages import prepared

RESULT = Path(__file__).parents[1] / "results" / "speed-images.json"
LENGTH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--image-model", default="small-cnn")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    about = surroundings("nearfar", "torch", "transformers", "sentence-transformers", "pillow")
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows = image_rows(Path(folder), args.batch_size * args.steps, args.pixels)
        for round_ in range(args.rounds):
            contest = Contest(rows, args, seed=round_)
            found = {"step": contest.step()}
            for workers in args.workers:
                found |= {
                    f"loader {workers}": contest.loader(workers),
                    f"training {workers}": contest.training(workers),
                }
            for name, rate in found.items():
                rates.setdefault(name, []).append(rate)
                print(f"round {round_ + 1}: {rate:8.1f} rows/s  {name}", flush=True)
    median = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    of_each = {
        str(workers): {
            "loader": median[f"loader {workers}"],
            "training": median[f"training {workers}"],
            "training_over_step": round(median[f"training {workers}"] / median["step"], 3),
        }
        for workers in args.workers
    }
    size = {"rows": len(rows), "pixels": args.pixels, "image_size": args.image_size, "views": contest.views}
    towers = {"image_model": args.image_model, "text_model": "all-MiniLM-L6-v2", "threads": args.threads}
    what = "rows per second of vlp_baselines: loading, the training step, and both together"
    measured = {"step": median["step"], "workers": of_each, "rows_per_second": rates}
    write(args.out, {"what": what, **about, **towers, **size, "batch_size": args.batch_size, **measured})


def image_rows(folder: Path, count: int, pixels: int) -> Dataset:
    """JPEG files of smooth random colours, with docstrings as captions."""
    rng, entries = np.random.default_rng(0), harvest()
    files = []
    for number in range(count):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((pixels, pixels), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")
        files.append(str(folder / f"{number}.jpg"))
    return Dataset.from_dict({"image": files, "text": [entries[n % len(entries)].summary for n in range(count)]})


class Contest:
    """One round, with its own seed."""

    def __init__(self, rows: Dataset, args: argparse.Namespace, seed: int) -> None:
        self.rows, self.seed, self.steps, self.size = rows, seed, args.steps, args.batch_size
        self.settings = {
            "batch_size": args.batch_size,
            "max_steps": args.steps,
            "save_steps": args.steps,
            "max_length": LENGTH,
            "image_size": args.image_size,
            "image_model": args.image_model,
        }
        self.views = 0

    def loader(self, workers: int) -> float:
        """Rows per second of the loader alone."""
        with tempfile.TemporaryDirectory() as folder:
            batches = iter(self._trainer(workers, folder).get_train_dataloader())
            next(batches)
            start = time.perf_counter()
            for _ in range(self.steps - 1):
                next(batches)
            return (self.steps - 1) * self.size / (time.perf_counter() - start)

    def step(self) -> float:
        """Rows per second of the step alone."""
        with tempfile.TemporaryDirectory() as folder:
            trainer = self._trainer(0, folder)
            loader = iter(trainer.get_train_dataloader())
            batches = [next(loader) for _ in range(2)]
            trainer.create_optimizer()
            trainer.model.train()
            seconds = []
            for number in range(self.steps):
                start = time.perf_counter()
                trainer.compute_loss(trainer.model, dict(batches[number % 2])).backward()
                trainer.optimizer.step()
                trainer.optimizer.zero_grad()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                seconds.append(time.perf_counter() - start)
            return (self.steps - 1) * self.size / sum(seconds[1:])

    def training(self, workers: int) -> float:
        """Rows per second of the trainer."""
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = self._trainer(workers, folder)
            trainer.add_callback(clock)
            trainer.args.save_strategy = "no"
            trainer.train()
        return (self.steps - 1) * self.size / sum(clock.seconds[1:])

    def _trainer(self, workers: int, folder: str) -> Any:
        torch.manual_seed(self.seed)
        recipe = recipes.get("vlp_baselines")
        options = with_settings(recipe.options(), {**self.settings, "workers": workers})
        model = load("minilm", max_length=LENGTH)
        ready = prepared(recipe.prepare(model, self.rows, options), options)
        assert ready.first.views is not None
        self.views = len(ready.first.views.columns) // 2
        return ready.model.trainer(ready.first, options, Setting(Path(folder), self.seed))


if __name__ == "__main__":
    main()
