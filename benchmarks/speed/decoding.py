"""Time per token of the decoding methods, and of greedy decoding in transformers.

    python benchmarks/speed/decoding.py [--rounds 5] [--threads 2] [--out FILE]

SmolLM2-135M continues one prompt. `contrastive_search` uses `candidates share the prefix` with this model, and `a copy
of the cache for each` with models whose attention does not accept a four-dimensional mask, like other implementations.
The amateur of `icd` and `lol` is a LoRA adapter of rank 16 with random weights, or a second copy of the model; `lol`
has four lower layers. The contestants take turns in one process; the result is the median over the rounds.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _timing import interleaved, summary, surroundings, write
from transformers import GenerationConfig

from nearfar.decoding import _candidates, contrastive, contrastive_decoding, contrastive_search, methods
from nearfar.decoding.amateur import Amateur, load_amateur
from nearfar.decoding.branches import Branches
from nearfar.models.adapters import add_lora
from nearfar.models.language import load_language_model

PROMPT = (
    "The history of the town begins in the twelfth century, when monks built a small church on the hill above the "
    "river. Merchants settled below it, and a bridge, a market and a wall followed within a hundred years. The first "
    "fire destroyed most of the houses, which were made of wood, and the council"
)


def adapter(model: Any, folder: str) -> None:
    """Write a LoRA adapter of a model whose weights are random."""
    adapted = copy.deepcopy(model)
    add_lora(adapted, 16)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.01)
    adapted.save_pretrained(folder)


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

    second = Amateur(copy.deepcopy(model))
    with torch.no_grad():
        next(second.model.parameters()).mul_(1.01)
    with tempfile.TemporaryDirectory() as folder:
        adapter(model, folder)
        # A copy, because the adapter becomes a part of the model, which would slow down the others.
        adapted = copy.deepcopy(model)
        switched = load_amateur(folder, adapted, tokenizer, "smollm2", "")

    def contrasted(name: str, amateur: Amateur | None = None, expert: Any = model) -> list[int]:
        method = methods.get(name)
        assert method.contrast is not None
        contrast = method.contrast(method.options(), model.config.num_hidden_layers)
        branches = Branches(expert, tokenizer, [contrast], amateur)
        return run(custom_generate=contrastive_decoding, branches=branches)

    contestants: dict[str, Callable[[], Any]] = {
        "greedy": run,
        "candidates share the prefix": search,
        "a copy of the cache for each": lambda: search(_candidates.Repeated()),
        "dola": lambda: contrasted("dola"),
        "cad": lambda: contrasted("cad"),
        "icd, an adapter": lambda: contrasted("icd", switched, adapted),
        "icd, a second model": lambda: contrasted("icd", second),
        "lol, an adapter": lambda: contrasted("lol", switched, adapted),
        "lol, a second model": lambda: contrasted("lol", second),
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
            "what": "time per token of decoding methods and of greedy decoding: SmolLM2-135M, float32, one prompt",
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
