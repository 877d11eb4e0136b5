"""Speed and memory of `nearfar.contrast` on a CPU.

    python benchmarks/speed/kernel.py [--out FILE]

The unit is the minimum that any method needs: the three matrix products S = A C^T, S C and S^T A. Every number is the
median over rounds in which the contestants take turns, with the loss and the gradients of both sides: first all
builders and the dense engine, then separately `paired` and its peer, so that others do not affect their memory. The
peer is CachedMultipleNegativesRankingLoss of sentence-transformers, with the chunk sizes that its users can choose.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from _timing import fresh_process, interleaved, peak_mb, summary, surroundings, write

from nearfar import contrast, far, near

PEER_BLOCKS = (32, 128, 256, 512, 1024)
RESULT = Path(__file__).resolve().parents[1] / "results" / "speed-kernel.json"
#: The minimum of each builder, in matrix products of this size.
PRODUCTS = {
    "paired": 3,
    "paired, candidates frozen": 2,
    "paired, learnt temperature": 3,
    "paired, symmetric": 4,
    "paired, row losses": 4,
    "same_label + except_self": 3,
    "supcon": 2,
    "weights": 3,
    "by_similarity": 4,
    "paired + masked": 3,
    "paired + weighted": 3,
    "paired + harder": 3,
    "paired + except_likely_positives": 4,
}


class Ours:
    """The timed calls of `contrast`. The inputs are created once."""

    def __init__(self, n: int, d: int) -> None:
        g = torch.Generator().manual_seed(0)
        self.a, self.c = (torch.randn(n, d, generator=g).requires_grad_() for _ in range(2))
        guide_a, guide_c = (torch.randn(n, d, generator=g) for _ in range(2))
        labels = torch.randint(0, n // 16, (n,), generator=g)
        temperature = torch.tensor(0.05, requires_grad=True)
        self.calls: dict[str, dict[str, Any]] = {
            "paired": {},
            "paired, candidates frozen": {"candidates": self.c.detach()},
            "paired, learnt temperature": {"temperature": temperature},
            "paired, symmetric": {"symmetric": True},
            "paired, row losses": {"reduction": "none"},
            "same_label + except_self": {"near": near.same_label(labels), "far": far.except_self()},
            # The same with one tensor on both sides, which makes it a symmetric problem.
            "supcon": {"candidates": self.a, "near": near.same_label(labels), "far": far.except_self()},
            "weights": {"near": near.weights(torch.rand(n, n, generator=g))},
            "by_similarity": {"near": near.by_similarity(guide_a, guide_c)},
            "paired + masked": {"far": far.masked(torch.rand(n, n, generator=g) > 0.9)},
            "paired + weighted": {"far": far.weighted(torch.rand(n, n, generator=g))},
            "paired + harder": {"far": far.harder(1.0)},
            "paired + except_likely_positives": {"far": far.except_likely_positives(guide_a, guide_c)},
        }

    def run(self, name: str, engine: str = "streaming") -> Callable[[], torch.Tensor]:
        options = {"anchors": self.a, "candidates": self.c, "temperature": 0.05, "engine": engine, **self.calls[name]}

        def once() -> torch.Tensor:
            self.a.grad = self.c.grad = None
            loss = contrast(**options).sum()
            loss.backward()
            return loss.detach()

        return once


def three_products(a: torch.Tensor, c: torch.Tensor) -> Callable[[], None]:
    a, c = a.detach(), c.detach()
    s = torch.empty(len(a), len(c))

    def once() -> None:
        torch.mm(a, c.T, out=s)
        torch.mm(s, c)
        torch.mm(s.T, a)

    return once


def peer(a: torch.Tensor, c: torch.Tensor, block: int) -> Callable[[], torch.Tensor]:
    """The part of the peer's loss that `contrast` replaces: from embeddings, in its chunks, to their gradients."""
    from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

    model: Any = torch.nn.Sequential(torch.nn.Identity())  # never called: embeddings are given
    loss = CachedMultipleNegativesRankingLoss(model, scale=20.0, mini_batch_size=block)
    reps = [[chunk.clone().requires_grad_() for chunk in x.detach().split(block)] for x in (a, c)]

    def once() -> torch.Tensor:
        for chunk in [*reps[0], *reps[1]]:
            chunk.grad = None
        return loss.calculate_loss(reps, with_backward=True)

    return once


def ratio(seconds: Mapping[str, list[float]], one: str, other: str) -> float:
    """The median over rounds of the ratio within a round."""
    return round(statistics.median(x / y for x, y in zip(seconds[one], seconds[other], strict=True)), 3)


def time_builders(ours: Ours, rounds: int) -> dict[str, Any]:
    contestants: dict[str, Callable[[], Any]] = {"three products": three_products(ours.a, ours.c)}
    contestants |= {f"streaming: {name}": ours.run(name) for name in PRODUCTS}
    contestants |= {"dense: paired": ours.run("paired", "dense")}
    seconds = interleaved(contestants, rounds)
    return {
        "seconds": {name: summary(all_) for name, all_ in seconds.items()},
        "over_its_products": {
            name: round(ratio(seconds, f"streaming: {name}", "three products") * 3 / products, 3)
            for name, products in PRODUCTS.items()
        },
        "products": PRODUCTS,
        "supcon_over_three_products": ratio(seconds, "streaming: supcon", "three products"),
        "dense_over_streaming": ratio(seconds, "dense: paired", "streaming: paired"),
    }


def time_peer(ours: Ours, rounds: int) -> dict[str, Any]:
    contestants: dict[str, Callable[[], Any]] = {"three products": three_products(ours.a, ours.c)}
    contestants |= {"streaming: paired": ours.run("paired")}
    contestants |= {f"peer: blocks of {block}": peer(ours.a, ours.c, block) for block in PEER_BLOCKS}
    values = {name: float(contestants[name]()) for name in ("streaming: paired", "peer: blocks of 256")}
    assert max(values.values()) - min(values.values()) < 1e-4 * max(values.values()), values
    seconds = interleaved(contestants, rounds)
    over = {
        f"peer: blocks of {block}": ratio(seconds, f"peer: blocks of {block}", "streaming: paired")
        for block in PEER_BLOCKS
    }
    best = min(over, key=lambda name: over[name])
    return {
        "loss": values,
        "seconds": {name: summary(all_) for name, all_ in seconds.items()},
        "over_its_products": ratio(seconds, "streaming: paired", "three products"),
        "peer_over_streaming": over,
        "best_peer": best,
        "best_peer_over_streaming": over[best],
    }


def memory(engine: str, n: int, d: int, threads: int) -> dict[str, Any]:
    """Peak memory of this process, which does nothing else, including the inputs and their gradients."""
    torch.set_num_threads(threads)
    a, c = torch.randn(n, d, requires_grad=True), torch.randn(n, d, requires_grad=True)
    contrast(a[:64], c[:64], engine=engine).backward()  # type: ignore[arg-type]
    a.grad = c.grad = None
    before, start = peak_mb(), time.perf_counter()
    contrast(a, c, engine=engine).backward()  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    return {
        "n": n,
        "d": d,
        "peak_mb": round(peak_mb()),
        "above_inputs_mb": round(peak_mb() - before),
        "seconds": round(seconds, 2),
    }


def show(result: dict[str, Any]) -> None:
    timed, against, kept = result["timed"], result["against_peer"], result["memory"]
    unit = timed["seconds"]["three products"]["median_s"]
    print(f"n = m = {result['n']}, d = {result['d']}, {result['threads']} threads; three products take {unit:.2f} s\n")
    print("streaming, relative to the matrix products that it needs:")
    for name, value in timed["over_its_products"].items():
        seconds = timed["seconds"][f"streaming: {name}"]["median_s"]
        print(f"  {name:34} {value:5.2f} x {timed['products'][name]} products {seconds:8.2f} s")
    print("\nslower than streaming, paired:")
    print(f"  {'dense':34} {timed['dense_over_streaming']:5.2f} x")
    for block, value in against["peer_over_streaming"].items():
        print(f"  {block:34} {value:5.2f} x")
    print("\npeak memory of a process, loss and gradients:")
    for name, row in kept.items():
        shape = f"{row['n']} x {row['n']}, d = {row['d']}"
        print(f"  {name:10} {shape:24} {row['peak_mb']:6} MB, {row['above_inputs_mb']:6} beyond the inputs")
    print("\ntargets:")
    for name, target in result["targets"].items():
        print(f"  {'met   ' if target['met'] else 'MISSED'} {name}: {target['value']} (target {target['target']})")


def judged(timed: dict[str, Any], against: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    over = timed["over_its_products"]
    others = {name: value for name, value in over.items() if name != "paired"}
    worst = max(others, key=lambda name: others[name])
    return {
        "paired over three products": {"value": over["paired"], "target": "<= 1.15", "met": over["paired"] <= 1.15},
        f"others over their products, worst: {worst}": {
            "value": others[worst],
            "target": "<= 1.6",
            "met": others[worst] <= 1.6,
        },
        "supcon over three products": {
            "value": timed["supcon_over_three_products"],
            "target": "<= 0.8",
            "met": timed["supcon_over_three_products"] <= 0.8,
        },
        f"faster than the {against['best_peer']}": {
            "value": against["best_peer_over_streaming"],
            "target": ">= 2",
            "met": against["best_peer_over_streaming"] >= 2,
        },
        "MB at full size": {
            "value": kept["large"]["peak_mb"],
            "target": "< 1500",
            "met": kept["large"]["peak_mb"] < 1500,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=8192, help="n = m of the timed part")
    parser.add_argument("--width", type=int, default=384, help="d of the timed part")
    parser.add_argument("--large-rows", type=int, default=65_536, help="n = m of the large memory run, d = 256")
    parser.add_argument("--memory", nargs=3, metavar=("ENGINE", "ROWS", "WIDTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        engine, rows, width = options.memory
        print(json.dumps(memory(engine, int(rows), int(width), options.threads)))
        return

    def alone(engine: str, rows: int, width: int) -> dict[str, Any]:
        threads = ("--threads", str(options.threads))
        return fresh_process(__file__, "--memory", engine, str(rows), str(width), *threads)

    result = surroundings("torch", "sentence-transformers", "nearfar") | {"threads": options.threads}
    kept = {
        "streaming": alone("streaming", options.rows, options.width),
        "dense": alone("dense", options.rows, options.width),
        "large": alone("streaming", options.large_rows, 256),
    }
    ours = Ours(options.rows, options.width)
    timed, against = time_builders(ours, options.rounds), time_peer(ours, options.rounds)
    result |= {"load_after": [round(x, 2) for x in os.getloadavg()], "n": options.rows, "m": options.rows}
    result |= {"d": options.width, "timed": timed, "against_peer": against, "memory": kept}
    result["targets"] = judged(timed, against, kept)
    show(result)
    write(options.out, result)


if __name__ == "__main__":
    main()
