"""Time per token of contrastive search and of greedy decoding in transformers.

    python benchmarks/speed/decoding.py [--rounds 5] [--threads 2] [--out FILE]

SmolLM2-135M continues one prompt. `contrastive_search` uses `candidates share the prefix` with this model, and `a copy
of the cache for each` with models whose attention does not accept a four-dimensional mask, like other implementations.
The contestants take turns in one process; the result is the median over the rounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _timing import interleaved, summary, surroundings, write
from transformers import GenerationConfig

from nearfar.decoding import _candidates, contrastive, contrastive_search
from nearfar.models.language import load_language_model

PROMPT = (
    "The history of the town begins in the twelfth century, when monks built a small church on the hill above the "
    "river. Merchants settled below it, and a bridge, a market and a wall followed within a hundred years. The first "
    "fire destroyed most of the houses, which were made of wood, and the council"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--top-k", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-decoding.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    about = surroundings("nearfar", "torch", "transformers")
    model, tokenizer = load_language_model("smollm2", "cpu")
    model.generation_config = GenerationConfig(pad_token_id=0)
    inputs = tokenizer(PROMPT, return_tensors="pt")

    def run(**how: Any) -> list[int]:
        exactly = {"min_new_tokens": args.tokens, "max_new_tokens": args.tokens}
        return model.generate(**inputs, **exactly, do_sample=False, **how)[0].tolist()

    def search(way: _candidates.Candidates | None = None, **how: Any) -> list[int]:
        chosen = contrastive.way_for
        try:
            if way is not None:
                contrastive.way_for = lambda *_: way
            return run(custom_generate=contrastive_search, top_k=args.top_k, penalty_alpha=0.6, **how)
        finally:
            contrastive.way_for = chosen

    contestants: dict[str, Callable[[], Any]] = {
        "greedy": run,
        "candidates share the prefix": search,
        "a copy of the cache for each": lambda: search(_candidates.Repeated()),
    }
    seconds = interleaved(contestants, args.rounds)
    found = {name: summary(values) for name, values in seconds.items()}
    for name, of in found.items():
        of["ms_a_token"] = round(1000 * of["median_s"] / args.tokens, 2)
        of["times_greedy"] = round(of["median_s"] / found["greedy"]["median_s"], 3)
        print(f"{of['ms_a_token']:8.1f} ms per token  {of['times_greedy']:5.2f} times greedy  {name}")
    write(
        args.out,
        {
            "what": "time per token of contrastive search and of greedy decoding: SmolLM2-135M, float32, one prompt",
            **about,
            "threads": args.threads,
            "prompt_tokens": inputs["input_ids"].shape[1],
            "new_tokens": args.tokens,
            "top_k": args.top_k,
            "decodings": found,
        },
    )


if __name__ == "__main__":
    main()
