"""DefSent+ from a raw backbone: are entry embeddings from definitions better targets than word embeddings?

NEARFAR_DATA=FOLDER NEARFAR_SMALL_BERT=FOLDER python benchmarks/claims/defsent_plus_raw.py [--seeds 5]
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any, Literal

import _raw
from _claim import Also, Claim, kept, run
from _raw import BACKBONES, MAX_LENGTH, RATES, STEPS, TUNED_ON, Backbone, budget, known_as, named
from datasets import Dataset
from defsent_plus import DEFINITIONS, wordnet

from nearfar.kinds.plan import Plan
from nearfar.recipes import defsent_plus

Targets = Literal["definitions", "words"]
ENTRIES, METRIC = 4_000, "Spearman's correlation"
OURS, BASELINE, ONE_STAGE, UNTRAINED = "DefSent+, two stages", "DefSent", "DefSent+, one stage", "untrained"


def dictionary(tokenizer: Any, seed: int) -> Dataset:
    """A sample of entries for each seed; half of them are one token of the vocabulary, half are not."""
    every, draw = wordnet(), random.Random(seed)
    tokens = tokenizer(list(every), add_special_tokens=False)["input_ids"]
    single = {word for word, ids in zip(every, tokens, strict=True) if len(ids) == 1}
    halves = ([word for word in every if (word in single) == one_token] for one_token in (True, False))
    chosen = [word for half in halves for word in draw.sample(half, min(ENTRIES // 2, len(half)))]
    pairs = [(word, definition) for word in chosen for definition in every[word]]
    return Dataset.from_dict({"entry": [word for word, _ in pairs], "definition": [text for _, text in pairs]})


def stages(seed: int, backbone: Backbone, targets: Targets, rate: float) -> list[dict[str, float]]:
    """Score, and step of the best checkpoint, after each stage."""
    chosen = defsent_plus.Options(**budget(backbone), max_length=MAX_LENGTH, learning_rate=rate, targets=targets)
    model, found = _raw.encoder(backbone), []
    for stage in defsent_plus.prepare(model, dictionary(model.tokenizer, seed), chosen):
        known = _raw.fitted(Plan(model, stage), chosen, seed)
        found.append(known | {"test": _raw.tested(model)})
    return found


def targets_of(arm: str) -> Targets:
    return "words" if arm == BASELINE else "definitions"


def rate_of(backbone: Backbone, arm: str) -> float:
    """The best one on the development split, after the first stage."""

    def score(rate: float) -> float:
        name = f"{known_as(backbone)}, {targets_of(arm)}, rate {rate:g}"
        compute = partial(stages, TUNED_ON, backbone, targets_of(arm), rate)
        return kept("defsent_plus_raw", name, compute)[0]["validation"]

    return max(RATES, key=score)


def figure(seed: int, backbone: Backbone, arm: str, name: str) -> float:
    compute = partial(stages, seed, backbone, targets_of(arm), rate_of(backbone, arm))
    found = kept("defsent_plus_raw", f"{known_as(backbone)}, {targets_of(arm)}, seed {seed}", compute)
    return found[1 if arm == OURS else 0][name]


def arms(backbone: Backbone, name: str = "test") -> dict[str, Any]:
    found: dict[str, Any] = {
        arm: partial(figure, backbone=backbone, arm=arm, name=name) for arm in (OURS, BASELINE, ONE_STAGE)
    }
    if name == "test":
        found[UNTRAINED] = lambda seed: _raw.untrained(backbone, "defsent_plus_raw")
    return found


if __name__ == "__main__":
    run(
        Claim(
            recipe="defsent_plus",
            name="defsent_plus_raw",
            claim="Training definitions to find their entries among entry embeddings made from definitions, which are "
            "computed again once with the better encoder, gives better sentence embeddings than finding words among "
            "word embeddings.",
            data=f"WordNet: {ENTRIES:,} entries, half of them one token of the backbone's vocabulary, with at most "
            f"{DEFINITIONS} definitions each, a new sample for each seed; STS-B test for evaluation",
            backbone=_raw.described(),
            budget=f"{STEPS} steps of 32 definitions in each stage, starting from the base model, {MAX_LENGTH} tokens; "
            f"the checkpoint of each stage, and for both kinds of targets the learning rate of {RATES}, are the best "
            "on STS-B's development split",
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
            caveat="The paper trains a complete BERT on a complete dictionary. DefSent has no language-modelling head "
            "here: all arms train the same projection, which starts as the identity. DefSent uses only the half of the "
            "entries that it supports. The second stage costs two banks in addition to the first stage.",
        )
    )
