"""A smaller and faster model from a large one: remove layers and dimensions, and measure what it costs.

    python examples/smaller_model.py
    python examples/smaller_model.py --data pairs.csv --eval held-out.csv --layers 2 --dims 64 --out runs/small

Trains with matryoshka_2d, which makes the vectors of inner layers and of the first dimensions usable, truncates the
result, and compares four models on the same held-out pairs: the large model and the truncated one, each before and
after training. By default the pairs are Python's own functions and their documentation, so nothing needs to be
downloaded.
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
    parser.add_argument("--data", help="file of pairs with the columns anchor and positive")
    parser.add_argument("--eval", help="file of held-out pairs for evaluation")
    parser.add_argument("--model", default="minilm", help="large model")
    parser.add_argument("--layers", type=int, default=3, help="number of layers to keep; fewer are faster")
    parser.add_argument("--dims", type=int, default=128, help="number of dimensions to keep; fewer need less storage")
    parser.add_argument("--steps", type=int, default=25, help="number of steps; increase until held-out scores fall")
    parser.add_argument("--limit", type=int, default=300, help="maximum number of held-out pairs")
    parser.add_argument("--out", type=Path, default=Path("runs/smaller"))
    args = parser.parse_args(arguments)
    if (args.data is None) != (args.eval is None):
        parser.error("--data and --eval must be used together")

    # 1. Pairs. Training and held-out pairs must not share texts, or the model is evaluated on texts it has seen.
    training, held_out = documentation() if args.data is None else (load(args.data), load(args.eval))
    held_out = held_out.select(range(min(args.limit, len(held_out))))

    # 2. Train. `sizes` lists the sizes to train, here the whole model and the wanted size: such a short training has no
    # steps for others. Without `sizes`, every batch has a random size, and the model can be truncated to any size
    # later. The batch contains the negatives, so keep it large; the number of steps decides the time and the quality.
    # For a reranker (a cross-encoder that reads two texts at once) use the recipe `dse`, which learns the large model's
    # scores. It is the same call with scored pairs.
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

    # 3. The four models. Without training, inner layers give bad vectors, because they were not trained for this. This
    # is the baseline that training must improve on; the large model before training is the goal to come close to.
    models = {
        "large, base model": before,
        "truncated, base model": truncated(before, args.layers, args.dims),
        "large, trained": run.model,
        "truncated, trained": truncated(run.model, args.layers, args.dims),
    }
    found = {name: nearfar.evaluate(model, held_out) for name, model in models.items()}
    speed = texts_per_second(
        {"large": models["large, trained"], "truncated": models["truncated, trained"]}, list(held_out["positive"])[:128]
    )

    metric = next(iter(found.values())).primary
    print(f"\n{metric} on {len(held_out):,} held-out pairs")
    for name, result in found.items():
        print(f"  {result.score:.3f}  {name}")
    say("Effect of training on the truncated model", found["truncated, base model"], found["truncated, trained"])
    # The cost of a small model. Do not compare it only with the trained large model: today you have the base model.
    say("Truncated model compared with the base model", found["large, base model"], found["truncated, trained"])
    say(
        "Truncated model compared with the large one, both trained",
        found["large, trained"],
        found["truncated, trained"],
    )

    trained = {name: models[f"{name}, trained"] for name in ("large", "truncated")}
    parameters = {name: sum(p.numel() for p in model.parameters()) for name, model in trained.items()}
    widths = {name: model.get_embedding_dimension() or 0 for name, model in trained.items()}
    print(f"\n{'':22}{'large':>12}{'truncated':>12}{'ratio':>9}")
    for what, figures in (("texts per second", speed), ("parameters", parameters), ("bytes per vector", widths)):
        large, small = (figures[name] * (4 if figures is widths else 1) for name in trained)
        ratio = small / large if figures is speed else large / small
        print(f"{what:22}{large:>12,.0f}{small:>12,.0f}{ratio:>8.2f}x")

    # 4. Save it. The folder does not contain the removed layers, and sentence-transformers loads it like any model.
    folder = args.out / "model"
    models["truncated, trained"].save_pretrained(str(folder))
    assert SentenceTransformer(str(folder)).get_embedding_dimension() == args.dims
    print(f"\nwritten: {folder}")


def documentation() -> tuple[Dataset, Dataset]:
    """Pairs of a function's summary and its signature with further text; whole modules are held out."""
    parts: dict[str, list[dict[str, str]]] = {"train": [], "validation": [], "test": []}
    for entry in harvest():
        parts[part_of(entry.module, 0)].append({"anchor": entry.summary, "positive": entry.text})
    return Dataset.from_list(parts["train"]), Dataset.from_list(parts["test"])


def texts_per_second(models: dict[str, SentenceTransformer], texts: list[str], rounds: int = 3) -> dict[str, float]:
    """The median of several rounds. The models take turns, so that other load on the machine affects both equally."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, model in models.items():
            started = time.perf_counter()
            model.encode(texts, batch_size=64)
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
    return {name: len(texts) / statistics.median(taken) for name, taken in seconds.items()}


def say(what: str, before: Result, after: Result) -> None:
    """Print a difference with its interval, which is narrow because both scores are on the same pairs."""
    change = paired_interval(before, after)
    if change is None:
        print(f"{what}: {after.score - before.score:+.3f}, too few pairs for an interval")
    else:
        print(f"{what}: {change.mean:+.3f}, 95% interval {change.low:+.3f} to {change.high:+.3f}")


if __name__ == "__main__":
    main()
