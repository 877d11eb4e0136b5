"""SimCSE: are two dropout masks better views than two identical ones, of an encoder that has seen no pairs?

NEARFAR_DATA=FOLDER NEARFAR_SMALL_BERT=FOLDER python benchmarks/claims/simcse_raw.py [--seeds 5]
"""

from __future__ import annotations

from functools import partial
from typing import Any

import _raw
from _claim import Also, Claim, kept, run
from _data import wiki_sentences
from _raw import BACKBONES, RATES, STEPS, TUNED_ON, Backbone, known_as, named

ARMS = {"dropout 0.1": 0.1, "dropout 0": 0.0}
OURS, BASELINE = ARMS
METRIC = "Spearman's correlation"


def figure(seed: int, backbone: Backbone, arm: str, name: str) -> float:
    """One figure of an arm: `test`, or `step` of the checkpoint that is best on the development split."""
    rate = max(RATES, key=lambda rate: validated(backbone, arm, rate))
    return kept("simcse_raw", f"{known_as(backbone)}, {arm}, seed {seed}", partial(trained, seed, backbone, arm, rate))[
        name
    ]


def validated(backbone: Backbone, arm: str, rate: float) -> float:
    name = f"{known_as(backbone)}, {arm}, rate {rate:g}"
    return kept("simcse_raw", name, partial(trained, TUNED_ON, backbone, arm, rate))["validation"]


def trained(seed: int, backbone: Backbone, arm: str, rate: float) -> dict[str, float]:
    model, found = _raw.simcse_on(wiki_sentences(), backbone, seed, rate, dropout=ARMS[arm])
    return found | {"test": _raw.tested(model)}


def arms(backbone: Backbone, name: str = "test") -> dict[str, Any]:
    found: dict[str, Any] = {arm: partial(figure, backbone=backbone, arm=arm, name=name) for arm in ARMS}
    return found | ({"untrained": lambda seed: _raw.untrained(backbone, "simcse_raw")} if name == "test" else {})


if __name__ == "__main__":
    run(
        Claim(
            recipe="simcse",
            name="simcse_raw",
            claim="Two dropout masks give better views of a sentence than two identical passes, and make a better "
            "encoder of a language model that has never seen a pair.",
            data="wiki_sentences for training (no labels), STS-B test for evaluation",
            backbone=_raw.described(),
            budget=f"{STEPS} steps of 64 sentences, tau 0.05, 32 tokens; the checkpoint, and for each arm the learning "
            f"rate of {RATES}, are the best on STS-B's development split",
            metric=METRIC,
            ours=OURS,
            baseline=BASELINE,
            arms=arms(BACKBONES[0]),
            also=(
                *(Also(named(METRIC, each), OURS, BASELINE, arms(each)) for each in BACKBONES[1:]),
                *(
                    Also(named("step of the best checkpoint", each), OURS, BASELINE, arms(each, "step"))
                    for each in BACKBONES
                ),
            ),
            caveat="BERT has dropout in all layers, and SmolLM2 in attention alone." if "smollm2" in BACKBONES else "",
        )
    )
