"""2D Matryoshka from a raw backbone, with all terms of AnglE: are the middle layers better than at full depth alone?

NEARFAR_DATA=FOLDER NEARFAR_SMALL_BERT=FOLDER python benchmarks/claims/matryoshka_2d_raw.py [--seeds 5]
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import _raw
import torch
from _claim import Also, Claim, kept, run
from _data import sts
from _raw import BUDGET, MAX_LENGTH, NAMES, RATES, STEPS, TUNED_ON, Backbone
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer

from nearfar.models.elastic import LayerViews, width
from nearfar.models.packing import embed
from nearfar.recipes import matryoshka_2d

LAYERS, NARROW, BATCH = 6, 16, 32
OURS, BASELINE, UNTRAINED = "2dmse", "matryoshka", "untrained"
#: Each arm is the recipe with other sizes to sum over.
CHOICES: dict[str, dict[str, Any]] = {OURS: {}, BASELINE: {"lambda_student": 0.0, "kl_weight": 0.0}}
#: Layers, and whether all dimensions are kept.
SIZES: dict[str, tuple[tuple[int, ...], bool]] = {
    "layers 3, 4, 5": ((3, 4, 5), True),
    f"layers 3, 4, 5, {NARROW} dimensions": ((3, 4, 5), False),
    "layers 1 and 2": ((1, 2), True),
    "all 6 layers": ((6,), True),
    f"all 6 layers, {NARROW} dimensions": ((6,), False),
}
MIDDLE = next(iter(SIZES))


@torch.inference_mode()
def measured(model: SentenceTransformer) -> dict[str, float]:
    """All sizes on STS-B test from one pass: the same scores as `nearfar evaluate --layers --dims`."""
    rows, views = sts("test"), LayerViews(model.eval())
    at = cast("torch.nn.Module", views.at(model, list(range(1, LAYERS + 1))))
    batches = [
        [model.preprocess(rows[name][start : start + 64]) for name in ("sentence1", "sentence2")]
        for start in range(0, len(rows), 64)
    ]
    first, second = (torch.cat(side).cpu() for side in zip(*(embed(at, batch) for batch in batches), strict=True))

    def score(layer: int, dims: int) -> float:
        cosines = torch.cosine_similarity(first[:, layer - 1, :dims], second[:, layer - 1, :dims])
        return float(spearmanr(cosines, rows["score"]).statistic)

    return {
        name: sum(score(layer, width(model) if whole else NARROW) for layer in chosen) / len(chosen)
        for name, (chosen, whole) in SIZES.items()
    }


def trained(seed: int, backbone: Backbone, arm: str, rate: float) -> dict[str, float]:
    options = matryoshka_2d.Options(
        **BUDGET, batch_size=BATCH, learning_rate=rate, max_length=MAX_LENGTH, **CHOICES[arm]
    )
    model = _raw.encoder(backbone, layers=LAYERS)
    return _raw.fitted(matryoshka_2d.prepare(model, sts("train"), options), options, seed) | measured(model)


def rate_of(backbone: Backbone, arm: str) -> float:
    """The best one on the development split, at full size."""

    def score(rate: float) -> float:
        name = f"{backbone}, {arm}, rate {rate:g}"
        return kept("matryoshka_2d_raw", name, partial(trained, TUNED_ON, backbone, arm, rate))["validation"]

    return max(RATES, key=score)


def figure(seed: int, backbone: Backbone, arm: str, name: str) -> float:
    if arm == UNTRAINED:
        untrained = partial(_raw.encoder, backbone, layers=LAYERS)
        return kept("matryoshka_2d_raw", f"{backbone}, {arm}", lambda: measured(untrained()))[name]
    compute = partial(trained, seed, backbone, arm, rate_of(backbone, arm))
    return kept("matryoshka_2d_raw", f"{backbone}, {arm}, seed {seed}", compute)[name]


def arms(backbone: Backbone, name: str) -> dict[str, Any]:
    names = (*CHOICES, *([] if name == "step" else [UNTRAINED]))
    return {arm: partial(figure, backbone=backbone, arm=arm, name=name) for arm in names}


def also(backbone: Backbone, label: str, *names: str) -> list[Also]:
    def metric(name: str) -> str:
        return f"step of the best checkpoint{label}" if name == "step" else f"correlation, {name}{label}"

    return [Also(metric(name), OURS, BASELINE, arms(backbone, name)) for name in names]


if __name__ == "__main__":
    run(
        Claim(
            recipe="matryoshka_2d",
            name="matryoshka_2d_raw",
            claim="Layers 3 to 5 of 6 give better vectors than after Matryoshka training at full depth.",
            data="STS-B train for training, STS-B test for evaluation",
            backbone=f"the first {LAYERS} layers of SmolLM2-135M; also {NAMES['bert']}; mean of the states",
            budget=f"{STEPS} steps of {BATCH} scored pairs, ranked cosines and angles, tau 0.05, {MAX_LENGTH} tokens; "
            f"the checkpoint, and for both arms the learning rate of {RATES}, are the best at full size on STS-B's "
            "development split",
            metric=f"Spearman's correlation, {MIDDLE}, all dimensions",
            ours=OURS,
            baseline=BASELINE,
            arms=arms("smollm2", MIDDLE),
            also=(
                *also("smollm2", "", *list(SIZES)[1:], "step"),
                *also("bert", ", small BERT", *SIZES, "step"),
            ),
            caveat="The paper trains BERT-base on NLI and reports seven test sets; here are scored pairs, which have "
            "no in-batch negatives, and one test set.",
        )
    )
