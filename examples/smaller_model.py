"""A smaller and faster model from a big one: cut layers and dimensions, and see honestly what that costs.

    python examples/smaller_model.py
    python examples/smaller_model.py --data pairs.csv --eval held-out.csv --layers 2 --dims 64 --out runs/small

Trains with matryoshka_2d, which makes the vectors of inner layers and of the first dimensions usable, cuts the result,
and compares four models on the same held-out pairs: the big one and its cut, each before and after training. By default
the pairs are Python's own functions and what their documentation says of them, so that nothing has to be fetched.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from datasets import Dataset
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.data import load
from nearfar.demo.docstrings import harvest, part_of
from nearfar.evaluation import Result
from nearfar.evaluation.compared import paired_interval
from nearfar.models.elastic import depth, truncated, width


def main(arguments: list[str] | None = None) -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="pairs: a file with the columns anchor and positive")
    parser.add_argument("--eval", help="other pairs of the same kind, to measure on")
    parser.add_argument("--model", default="minilm", help="the big one")
    parser.add_argument("--layers", type=int, default=3, help="layers that stay: each one less saves time")
    parser.add_argument("--dims", type=int, default=128, help="numbers of a vector that stay: less storage")
    parser.add_argument("--steps", type=int, default=25, help="more, until the held-out figures fall")
    parser.add_argument("--limit", type=int, default=300, help="held-out pairs at most")
    parser.add_argument("--out", type=Path, default=Path("runs/smaller"))
    args = parser.parse_args(arguments)
    if (args.data is None) != (args.eval is None):
        parser.error("give --data and --eval, or neither")

    # 1. Pairs. Training and held-out ones must not share texts, or the model is measured on what it has seen.
    training, held_out = documentation() if args.data is None else (load(args.data), load(args.eval))
    held_out = held_out.select(range(min(args.limit, len(held_out))))

    # 2. Train. `sizes` names the sizes to train at, here the whole model and the one that is wanted: a training that is
    # as short as this has no steps for others. Without it every batch draws a size, and any cut can be made later. The
    # batch holds the negatives, so keep it large; the number of steps decides how long it takes and how good it gets.
    # For a reranker (a cross-encoder that reads two texts at once) the recipe is `dse`: it learns the big model's
    # scores instead. It is the same call with scored pairs.
    before = nearfar.load(args.model, max_length=48)
    run = nearfar.train(
        "matryoshka_2d",
        training,
        model=args.model,
        out=args.out / "run",
        max_steps=args.steps,
        batch_size=64,
        max_length=48,
        learning_rate=1e-4,
        sizes=f"{args.layers}x{args.dims},{depth(before)}x{width(before)}",
    )

    # 3. The four models. Cut without training, inner layers are bad: they were never asked for vectors of their own.
    # That is the baseline which training has to beat; the big model before training is the one to come close to.
    models = {
        "big, as it came": before,
        "cut, as it came": truncated(before, args.layers, args.dims),
        "big, trained": run.model,
        "cut, trained": truncated(run.model, args.layers, args.dims),
    }
    found = {name: nearfar.evaluate(model, held_out) for name, model in models.items()}
    speed = texts_per_second(
        {"big": models["big, trained"], "cut": models["cut, trained"]}, list(held_out["positive"])[:128]
    )

    metric = next(iter(found.values())).primary
    print(f"\n{metric} on {len(held_out):,} held-out pairs")
    for name, result in found.items():
        print(f"  {result.score:.3f}  {name}")
    say("What training does for the cut model", found["cut, as it came"], found["cut, trained"])
    # The price of being small. Do not compare with the trained big model alone: what you have today is the untrained.
    say("The cut model beside the big one as it came", found["big, as it came"], found["cut, trained"])
    say("The cut model beside the big one, both trained", found["big, trained"], found["cut, trained"])

    parameters = {name: sum(p.numel() for p in models[f"{name}, trained"].parameters()) for name in ("big", "cut")}
    widths = {name: models[f"{name}, trained"].get_embedding_dimension() or 0 for name in ("big", "cut")}
    print(f"\n{'':22}{'big':>12}{'cut':>12}{'ratio':>9}")
    for what, figures in (("texts a second", speed), ("parameters", parameters), ("bytes of a vector", widths)):
        big, cut = (figures[name] * (4 if figures is widths else 1) for name in ("big", "cut"))
        ratio = cut / big if figures is speed else big / cut
        print(f"{what:22}{big:>12,.0f}{cut:>12,.0f}{ratio:>8.2f}x")

    # 4. Keep it. The layers above are gone from the folder, and sentence-transformers loads it as any other model.
    folder = args.out / "model"
    models["cut, trained"].save_pretrained(str(folder))
    assert SentenceTransformer(str(folder)).get_embedding_dimension() == args.dims
    print(f"\nwritten: {folder}")


def documentation() -> tuple[Dataset, Dataset]:
    """Pairs of what a function does and its signature with further text; whole modules are held out."""
    parts: dict[str, list[dict[str, str]]] = {"train": [], "validation": [], "test": []}
    for entry in harvest():
        parts[part_of(entry.module, 0)].append({"anchor": entry.summary, "positive": entry.text})
    return Dataset.from_list(parts["train"]), Dataset.from_list(parts["test"])


def texts_per_second(models: dict[str, SentenceTransformer], texts: list[str], rounds: int = 3) -> dict[str, float]:
    """The median of several rounds. The models take turns, so that what else the machine does hits both alike."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, model in models.items():
            started = time.perf_counter()
            model.encode(texts, batch_size=64)
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
    return {name: len(texts) / statistics.median(taken) for name, taken in seconds.items()}


def say(what: str, before: Result, after: Result) -> None:
    """A difference with its interval: over the same pairs, so much smaller than that of either figure."""
    change = paired_interval(before, after)
    if change is None:
        print(f"{what}: {after.score - before.score:+.3f}, too few pairs for an interval")
    else:
        print(f"{what}: {change.mean:+.3f}, 95% interval {change.low:+.3f} to {change.high:+.3f}")


if __name__ == "__main__":
    main()
