"""Pairs a second in training on a GPU, against sentence-transformers' own losses in the same trainer.

    python benchmarks/gpu/training.py [--model minilm] [--batch-size 4096] [--rounds 3] [--out FILE]

MiniLM in bfloat16 autocast, docstring pairs of the standard library, texts cut at 64 tokens and tokenised ahead by
other processes. The contestants take turns: plain, where the whole batch keeps its activations, and with the gradient
cache, the peer at several chunk sizes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from datasets import Dataset

from nearfar.demo.docstrings import harvest

sys.path.append(str(Path(__file__).parents[1] / "speed"))  # behind this folder, which has a training.py too

from _timing import surroundings, write
from _training import PLAIN, Contest, cached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="minilm", help="folder or alias of the encoder")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=4, help="optimiser steps of a turn that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=8, help="processes that tokenise ahead")
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-training-gpu.json")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu/training.py: no CUDA device here; run it on a machine with an NVIDIA GPU")
    about = surroundings("torch", "transformers", "sentence-transformers")
    entries = harvest()
    # Whole batches for every step; that rows come again does not change the time of a step.
    times = -(-args.batch_size * (args.steps + 2) // len(entries))
    rows = Dataset.from_dict(
        {"anchor": [e.summary for e in entries] * times, "positive": [e.text for e in entries] * times}
    )
    contest = Contest(rows, args.batch_size, args.steps, 1, args.max_length, args.model, True, args.workers)
    plain = contest.run(PLAIN, args.rounds)
    with_cache = contest.run(cached((32, 256, 1024), 32768), args.rounds)
    for name, found in (("plain", plain), ("gradient cache", with_cache)):
        print(f"{name}: {found['ratio_to_best_peer']:.2f} times {found['best_peer']}")
    write(
        args.out,
        {
            "what": "pairs a second in training: MiniLM, bfloat16 autocast, docstring pairs of the standard library",
            **about,
            "gpu": torch.cuda.get_device_name(),
            "rows": len(entries),
            "max_length": args.max_length,
            "workers": args.workers,
            "plain": plain,
            "cached": with_cache,
        },
    )


if __name__ == "__main__":
    main()
