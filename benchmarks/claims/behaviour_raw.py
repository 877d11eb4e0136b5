"""Behaviour of the loss on a raw backbone: at a high temperature, are only hard negatives better than all?

NEARFAR_DATA=FOLDER NEARFAR_SMALL_BERT=FOLDER python benchmarks/claims/behaviour_raw.py [--seeds 5]
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import _raw
from _claim import Also, Claim, kept, run
from _data import wiki_sentences
from _raw import BUDGET, MAX_LENGTH, RATES, STEPS, TUNED_ON, known_as
from transformers import set_seed

from nearfar.recipes import behaviour

Loss = Literal["contrastive", "hard", "simple", "hard_simple"]
OURS, BASELINE = "hard, tau 1", "contrastive, tau 1"
ARMS: dict[str, tuple[Loss, float]] = {
    OURS: ("hard", 1.0),
    BASELINE: ("contrastive", 1.0),
    "contrastive, tau 0.05": ("contrastive", 0.05),
    "contrastive, tau 0.1": ("contrastive", 0.1),
    "contrastive, tau 0.3": ("contrastive", 0.3),
    "hard, tau 0.3": ("hard", 0.3),
    "simple": ("simple", 1.0),
    "hard_simple": ("hard_simple", 1.0),
}


def trained(seed: int, arm: str, rate: float) -> dict[str, float]:
    """Scores of a model trained on sentences, each encoded twice with dropout."""
    loss, temperature = ARMS[arm]
    options = behaviour.Options(
        **BUDGET, loss=loss, temperature=temperature, batch_size=64, learning_rate=rate, max_length=MAX_LENGTH
    )
    set_seed(seed)
    model = _raw.encoder("bert")
    rows = wiki_sentences().shuffle(seed=seed).select(range(STEPS * 64))
    found = _raw.fitted(behaviour.prepare(model, rows, options), options, seed)
    return found | {"test": _raw.tested(model)}


def figure(seed: int, arm: str, name: str) -> float:
    def validated(rate: float) -> float:
        compute = partial(trained, TUNED_ON, arm, rate)
        return kept("behaviour_raw", f"{known_as('bert')}, {arm}, rate {rate:g}", compute)["validation"]

    compute = partial(trained, seed, arm, max(RATES, key=validated))
    return kept("behaviour_raw", f"{known_as('bert')}, {arm}, seed {seed}", compute)[name]


def arms(name: str) -> dict[str, Any]:
    return {arm: partial(figure, arm=arm, name=name) for arm in ARMS}


if __name__ == "__main__":
    run(
        Claim(
            recipe="behaviour",
            name="behaviour_raw",
            claim="At temperature 1, the contrastive loss with only the hardest negatives gives a better encoder than "
            "with all negatives.",
            data="wiki_sentences for training, each encoded twice with dropout; STS-B test for evaluation",
            backbone=_raw.described(backbones=("bert",)),
            budget=f"{STEPS} steps of 64 sentences, alpha 0.0819, {MAX_LENGTH} tokens; the checkpoint, and for each "
            f"arm the learning rate of {RATES}, are the best on STS-B's development split",
            metric="Spearman's correlation on STS-B",
            ours=OURS,
            baseline=BASELINE,
            arms={**arms("test"), "untrained": lambda seed: _raw.untrained("bert", "behaviour_raw")},
            also=(Also("step of the best checkpoint", OURS, BASELINE, arms("step")),),
            caveat="The paper trains image encoders with a memory bank; here are the 63 other sentences of a batch. "
            "The baseline uses the temperature at which it performs poorly in the paper, not its best one: see the "
            "other contrastive arms, too.",
        )
    )
