"""2D Matryoshka from a raw backbone, with all terms of AnglE: are the middle layers better than at full depth alone?

NEARFAR_DATA=FOLDER NEARFAR_SMALL_BERT=FOLDER python benchmarks/claims/matryoshka_2d_raw.py [--seeds 5]
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any, Literal, cast

import _raw
import torch
from _claim import Also, Claim, kept, run
from _data import sts
from _raw import BACKBONES, MAX_LENGTH, RATES, STEPS, TUNED_ON, Backbone, budget, depth, known_as, named
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer

from nearfar.models.elastic import LayerViews, width
from nearfar.models.packing import embed
from nearfar.recipes import matryoshka_2d

#: Of SmolLM2.
LAYERS = 6
NARROW, BATCH = 16, 32
OURS, BASELINE, UNTRAINED = "2dmse", "matryoshka", "untrained"
#: Each arm is the recipe with other sizes to sum over.
CHOICES: dict[str, dict[str, Any]] = {OURS: {}, BASELINE: {"lambda_student": 0.0, "kl_weight": 0.0}}
#: Layers as parts of the depth, and whether all dimensions are kept.
Part = Literal["middle", "lower", "full"]
SIZES: dict[str, tuple[Part, bool]] = {
    "middle layers": ("middle", True),
    f"middle layers, {NARROW} dimensions": ("middle", False),
    "layers below the middle": ("lower", True),
    "full depth": ("full", True),
    f"full depth, {NARROW} dimensions": ("full", False),
}
MIDDLE = next(iter(SIZES))


def layers_of(depth: int, part: Part) -> range:
    """Numbers of layers, from 1; the middle goes from half of the depth to the layer before the last."""
    if part == "full":
        return range(depth, depth + 1)
    return range(depth // 2, depth) if part == "middle" else range(1, depth // 2)


@torch.inference_mode()
def measured(model: SentenceTransformer, layers: int) -> dict[str, float]:
    """All sizes on STS-B test from one pass: the same scores as `nearfar evaluate --layers --dims`."""
    rows, views = sts("test"), LayerViews(model.eval())
    at = cast("torch.nn.Module", views.at(model, list(range(1, layers + 1))))
    batches = [
        [model.preprocess(rows[name][start : start + 64]) for name in ("sentence1", "sentence2")]
        for start in range(0, len(rows), 64)
    ]
    first, second = (torch.cat(side).cpu() for side in zip(*(embed(at, batch) for batch in batches), strict=True))

    def score(layer: int, dims: int) -> float:
        cosines = torch.cosine_similarity(first[:, layer - 1, :dims], second[:, layer - 1, :dims])
        return float(spearmanr(cosines, rows["score"]).statistic)

    return {
        name: statistics.mean(score(layer, width(model) if whole else NARROW) for layer in layers_of(layers, part))
        for name, (part, whole) in SIZES.items()
    }


def untrained(backbone: Backbone) -> dict[str, float]:
    return measured(_raw.encoder(backbone, layers=LAYERS), depth(backbone, LAYERS))


def trained(seed: int, backbone: Backbone, arm: str, rate: float) -> dict[str, float]:
    options = matryoshka_2d.Options(
        **budget(backbone), batch_size=BATCH, learning_rate=rate, max_length=MAX_LENGTH, **CHOICES[arm]
    )
    model = _raw.encoder(backbone, layers=LAYERS)
    found = _raw.fitted(matryoshka_2d.prepare(model, sts("train"), options), options, seed)
    return found | measured(model, depth(backbone, LAYERS))


def rate_of(backbone: Backbone, arm: str) -> float:
    """The best one on the development split, at full size."""

    def score(rate: float) -> float:
        name = f"{known_as(backbone)}, {arm}, rate {rate:g}"
        return kept("matryoshka_2d_raw", name, partial(trained, TUNED_ON, backbone, arm, rate))["validation"]

    return max(RATES, key=score)


def figure(seed: int, backbone: Backbone, arm: str, name: str) -> float:
    if arm == UNTRAINED:
        return kept("matryoshka_2d_raw", f"{known_as(backbone)}, {arm}", partial(untrained, backbone))[name]
    compute = partial(trained, seed, backbone, arm, rate_of(backbone, arm))
    return kept("matryoshka_2d_raw", f"{known_as(backbone)}, {arm}, seed {seed}", compute)[name]


def arms(backbone: Backbone, name: str) -> dict[str, Any]:
    names = (*CHOICES, *([] if name == "step" else [UNTRAINED]))
    return {arm: partial(figure, backbone=backbone, arm=arm, name=name) for arm in names}


def also(backbone: Backbone, *names: str) -> list[Also]:
    def metric(name: str) -> str:
        return named("step of the best checkpoint" if name == "step" else f"correlation, {name}", backbone)

    return [Also(metric(name), OURS, BASELINE, arms(backbone, name)) for name in names]


if __name__ == "__main__":
    middle = "; ".join(
        f"{', '.join(map(str, layers_of(depth(each, LAYERS), 'middle')))} of {depth(each, LAYERS)}"
        for each in BACKBONES
    )
    run(
        Claim(
            recipe="matryoshka_2d",
            name="matryoshka_2d_raw",
            claim="The middle layers give better vectors than after Matryoshka training at full depth alone.",
            data="STS-B train for training, STS-B test for evaluation",
            backbone=_raw.described(LAYERS),
            budget=f"{STEPS} steps of {BATCH} scored pairs, ranked cosines and angles, tau 0.05, {MAX_LENGTH} tokens; "
            f"the checkpoint, and for both arms the learning rate of {RATES}, are the best at full size on STS-B's "
            "development split",
            metric=f"Spearman's correlation, mean of the {MIDDLE} ({middle}), all dimensions",
            ours=OURS,
            baseline=BASELINE,
            arms=arms(BACKBONES[0], MIDDLE),
            also=(
                *also(BACKBONES[0], *list(SIZES)[1:], "step"),
                *(part for each in BACKBONES[1:] for part in also(each, *SIZES, "step")),
            ),
            caveat="The paper trains BERT-base on NLI and reports seven test sets; here are scored pairs, which have "
            "no in-batch negatives, and one test set.",
        )
    )
