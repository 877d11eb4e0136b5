"""Texts per second by depth: removing layers saves time, but selecting hidden states afterwards does not.

    python benchmarks/speed/depth.py [--rounds 5] [--out FILE]

MiniLM truncated to each number of layers encodes the same texts (docstrings of the standard library, as in `nearfar
demo`). `all layers run` takes the vectors after the first layer from a full pass, which saves nothing. The contestants
take turns in one process; the result is the median over the rounds. Dimensions are not measured: taking a prefix is
free.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from _timing import interleaved, summary, surroundings, write

from nearfar.demo.docstrings import harvest
from nearfar.models import load
from nearfar.models.elastic import LayerViews, depth, truncated

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-depth.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    about = surroundings("nearfar", "torch", "transformers", "sentence-transformers")
    texts = [entry.text for entry in harvest()][: args.texts]
    model = load("minilm", device="cpu", max_length=args.max_length)
    views = LayerViews(model)

    def after_a_full_pass() -> None:
        ordered = sorted(texts, key=len, reverse=True)
        with torch.inference_mode():
            for start in range(0, len(ordered), BATCH):
                views.at(model, [1])(model.preprocess(ordered[start : start + BATCH]))

    contestants: dict[str, Callable[[], Any]] = {
        f"{n} layers" if n > 1 else "1 layer": partial(truncated(model, n).encode, texts, batch_size=BATCH)
        for n in range(1, depth(model) + 1)
    }
    contestants["1 layer, all layers run"] = after_a_full_pass
    seconds = interleaved(contestants, args.rounds)
    found = {name: summary(values) for name, values in seconds.items()}
    for of in found.values():
        of["texts_per_second"] = round(len(texts) / of["median_s"], 1)
    whole = found[f"{depth(model)} layers"]["median_s"]
    for name, of in found.items():
        of["times_the_whole_model"] = round(whole / of["median_s"], 2)
        print(f"{of['texts_per_second']:8.1f} texts/s  {of['times_the_whole_model']:5.2f} times  {name}")
    write(
        args.out,
        {
            "what": "texts per second by depth: MiniLM, float32, docstrings of the standard library",
            **about,
            "threads": args.threads,
            "texts": len(texts),
            "batch_size": BATCH,
            "max_length": args.max_length,
            "depths": found,
        },
    )


if __name__ == "__main__":
    main()
