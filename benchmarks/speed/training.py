"""Pairs per second in training, compared with losses of sentence-transformers in the same trainer.

    python benchmarks/speed/training.py [--rounds 5] [--out FILE]

All contestants have the same model (MiniLM), rows (docstrings of the standard library, as in `nearfar demo`), order,
batch size, optimiser and precision, and take turns in one process, so that changes of the machine's speed affect all of
them. A turn is a few optimiser steps; the result is the median over the rounds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from _timing import surroundings, write
from _training import PLAIN, Contest, cached, small
from datasets import Dataset

from nearfar.demo.docstrings import harvest


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
    # A step of 64 pairs goes before those that are timed; one of 512 needs none.
    plain = Contest(rows, 64, args.plain_steps, 1, args.max_length).run(PLAIN | small(256), args.rounds)
    with_cache = Contest(rows, 512, args.cached_steps, 0, args.max_length).run(cached((32, 64), 2048), args.rounds)
    for name, found in (("plain, batch 64", plain), ("gradient cache, batch 512", with_cache)):
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
            "cached": with_cache,
        },
    )


if __name__ == "__main__":
    main()
