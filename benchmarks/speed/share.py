"""What share of the machine's own matrix-product rate a training step and encoding reach, and where the rest goes.

    python benchmarks/speed/share.py [--rounds 5] [--out FILE]

The products are those that MiniLM's linear layers need for the tokens of the same texts: forward, and for training also
the gradients of inputs and weights, in the same shapes, timed in turns with the step. The share is their time divided
by that of the step. What the step spends its time on is read off by torch's profiler, by kind of operation.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from _timing import interleaved, summary, surroundings, write
from sentence_transformers import SentenceTransformer
from torch import nn
from torch.profiler import ProfilerActivity, profile

from nearfar.demo.docstrings import harvest
from nearfar.losses import ContrastLoss
from nearfar.models import load
from nearfar.models.encoding import encode

MAX_LENGTH, PAIRS, TEXTS = 64, 64, 512
#: Tokens in a forward pass, where they are limited.
SMALL = 256
#: What the names of torch's operations belong to, in this order.
KINDS = {
    "linear layers": ("addmm", "aten::mm", "aten::linear"),
    "attention": ("bmm", "attention", "softmax"),
    "gelu": ("gelu",),
    "layer norm": ("layer_norm",),
    "dropout": ("dropout", "bernoulli"),
    "optimiser": ("adam", "foreach", "addcdiv", "addcmul", "lerp", "sqrt"),
    "embeddings": ("embedding", "index"),
    "copies and sums": ("copy", "add", "mul", "sum", "cat", "clone", "zero", "fill"),
}


def linear_shapes(model: nn.Module) -> list[tuple[int, int]]:
    """Inputs and outputs of each linear layer that a forward pass uses; the pooler is not used."""
    return [
        (layer.in_features, layer.out_features)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and "pooler" not in name
    ]


def products(shapes: list[tuple[int, int]], tokens: int, backward: bool) -> Callable[[], None]:
    """The products of all layers, for so many tokens."""
    sizes = {size for shape in shapes for size in shape}
    rows = {size: torch.randn(tokens, size) for size in sizes}
    weights = {shape: torch.randn(*shape) for shape in shapes}

    def run() -> None:
        with torch.inference_mode():
            for shape in shapes:
                x, y, weight = rows[shape[0]], rows[shape[1]], weights[shape]
                torch.mm(x, weight)
                if backward:
                    torch.mm(y, weight.T)
                    torch.mm(x.T, y)

    return run


@dataclass(frozen=True)
class Work:
    """What is measured.

    Args:
        run: The whole.
        products: The matrix products that it needs.
        tokens: Tokens of its texts, without padding.
        padded: The same with padding.
    """

    run: Callable[[], Any]
    products: Callable[[], None]
    tokens: int
    padded: int


def work(model: SentenceTransformer, run: Callable[[], Any], backward: bool) -> Work:
    masks: list[torch.Tensor] = []
    watch = model.register_forward_pre_hook(lambda _, given: masks.append(given[0]["attention_mask"]))
    run()
    watch.remove()
    tokens, padded = sum(int(mask.sum()) for mask in masks), sum(mask.numel() for mask in masks)
    return Work(run, products(linear_shapes(model), tokens, backward), tokens, padded)


def where(run: Callable[[], Any]) -> dict[str, float]:
    """The share of the processor's time of each kind of operation, and of what is not in any."""
    run()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    spent: Counter[str] = Counter()
    for event in profiled.key_averages():
        kind = next(
            (kind for kind, parts in KINDS.items() if any(part in event.key.lower() for part in parts)), "other"
        )
        spent[kind] += event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: round(time / total, 3) for kind, time in spent.most_common()}


def training(entries: list[Any], tokens: int | None) -> Work:
    """A step of InfoNCE on pairs, with at most so many tokens in a forward pass, and the products that it needs."""
    model = load("minilm", max_length=MAX_LENGTH).train()
    loss = ContrastLoss(model, mini_batch_num_tokens=tokens)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5)
    features = [model.preprocess([getattr(e, side) for e in entries[:PAIRS]]) for side in ("summary", "text")]

    def step() -> None:
        optimiser.zero_grad()
        loss([{**each} for each in features], None).backward()
        optimiser.step()

    return work(model, step, backward=True)


def encoding(entries: list[Any]) -> Work:
    """Encoding in batches of texts of about the same length."""
    model = load("minilm", max_length=MAX_LENGTH)
    texts = [entry.text for entry in entries[:TEXTS]]
    return work(model, lambda: encode(model, texts), backward=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "speed-share.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    about = surroundings("torch", "transformers", "sentence-transformers")
    entries, found = harvest(), {}
    works = {
        "training step": partial(training, tokens=None),
        f"training step, mini_batch_num_tokens={SMALL}": partial(training, tokens=SMALL),
        "encoding": encoding,
    }
    for name, make in works.items():
        made = make(entries)
        seconds = interleaved({"whole": made.run, "products": made.products}, args.rounds)
        shares = sorted(b / a for a, b in zip(seconds["whole"], seconds["products"], strict=True))
        found[name] = {
            "tokens": made.tokens,
            "padded_tokens": made.padded,
            "share": shares[len(shares) // 2],
            "shares": shares,
            **{each: summary(times) for each, times in seconds.items()},
            "where": where(made.run),
        }
        print(name, found[name]["share"], found[name]["where"], flush=True)
    what = f"share of the matrix-product rate: MiniLM, float32, docstrings, at most {MAX_LENGTH} tokens"
    write(args.out, {"what": what, **about, "threads": args.threads, "works": found})


if __name__ == "__main__":
    main()
