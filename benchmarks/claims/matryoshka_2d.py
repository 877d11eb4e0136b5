"""2D Matryoshka: are the middle layers better than after Matryoshka training at full depth?

NEARFAR_DATA=FOLDER python benchmarks/claims/matryoshka_2d.py [--seeds 5]
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
from _claim import Claim, run
from _data import sts
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.models.elastic import LayerViews
from nearfar.models.packing import embed
from nearfar.recipes import matryoshka_2d
from nearfar.training.stages import train_plan

STEPS = 200
LAYERS, DIMS = [1, 2, 3, 4, 5, 6], [16, 64, 384]
#: Each arm is the recipe with other sizes to sum over.
CHOICES: dict[str, dict[str, Any]] = {"2dmse": {}, "matryoshka": {"lambda_student": 0.0, "kl_weight": 0.0}}
#: (layers, dims) -> Spearman's correlation.
Grid = dict[tuple[int, int], float]


@torch.inference_mode()
def measured(model: SentenceTransformer) -> Grid:
    """All sizes on STS-B test from one pass: the same scores as `nearfar evaluate --layers --dims`."""
    rows, views = sts("test"), LayerViews(model.eval())
    at = cast("torch.nn.Module", views.at(model, LAYERS))
    batches = [
        [model.preprocess(rows[name][start : start + 64]) for name in ("sentence1", "sentence2")]
        for start in range(0, len(rows), 64)
    ]
    first, second = (torch.cat(side) for side in zip(*(embed(at, batch) for batch in batches), strict=True))
    grid = {}
    for k, n in enumerate(LAYERS):
        for d in DIMS:
            cosines = torch.cosine_similarity(first[:, k, :d], second[:, k, :d])
            grid[n, d] = float(spearmanr(cosines, rows["score"]).statistic)
    return grid


@cache
def trained(seed: int, arm: str) -> Grid:
    options = matryoshka_2d.Options(
        max_steps=STEPS,
        save_steps=STEPS,
        batch_size=16,
        learning_rate=5e-5,
        max_length=32,
        w_cos=1.0,
        w_ang=0.0,
        **CHOICES[arm],
    )
    model = nearfar.load("minilm", max_length=options.max_length)
    with tempfile.TemporaryDirectory() as folder:
        train_plan(matryoshka_2d.prepare(model, sts("train"), options), options, folder, seed)
    return measured(model)


@cache
def base_model() -> Grid:
    return measured(nearfar.load("minilm", max_length=32))


def arms() -> dict[str, Callable[[int], float]]:
    """The arms of the metric, followed by the same at other sizes."""
    grids = {
        "2dmse": lambda seed: trained(seed, "2dmse"),
        "matryoshka": lambda seed: trained(seed, "matryoshka"),
        "base model": lambda seed: base_model(),
    }
    sizes = {
        "": ([3, 4, 5], 384),
        ", 16 dimensions": ([3, 4, 5], 16),
        ", layers 1 and 2": ([1, 2], 384),
        ", all 6 layers": ([6], 384),
        ", all 6 layers, 16 dimensions": ([6], 16),
    }

    def arm(grid: Callable[[int], Grid], layers: list[int], dims: int) -> Callable[[int], float]:
        return lambda seed: sum(grid(seed)[n, dims] for n in layers) / len(layers)

    return {name + size: arm(grid, *where) for size, where in sizes.items() for name, grid in grids.items()}


if __name__ == "__main__":
    run(
        Claim(
            recipe="matryoshka_2d",
            claim="Layers 3 to 5 of 6 give better vectors than after Matryoshka training at full depth.",
            data="STS-B train for training, STS-B test for evaluation",
            backbone="all-MiniLM-L6-v2",
            budget=f"{STEPS} steps of 16 scored pairs, ranked cosines, tau 0.05, learning rate 5e-5, 32 tokens",
            metric="Spearman's correlation (mean of layers 3, 4, 5 at 384 dimensions if no size is given)",
            ours="2dmse",
            baseline="matryoshka",
            arms=arms(),
            caveat="The paper trains BERT-base on NLI with all terms of AnglE and reports seven test sets; here a "
            "trained sentence encoder is trained on scored pairs with only AnglE's ranked cosines, and there is one "
            "test set. Hyper-parameters were fixed in advance, without tuning.",
        )
    )
