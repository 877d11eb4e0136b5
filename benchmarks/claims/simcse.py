"""SimCSE: are two dropout masks better views than two identical ones?

NEARFAR_DATA=FOLDER python benchmarks/claims/simcse.py [--seeds 5]
"""

from __future__ import annotations

import tempfile

from _claim import Claim, run
from _data import sts, wiki_sentences

import nearfar
from nearfar.evaluation import evaluate
from nearfar.recipes import simcse
from nearfar.training.stages import train_plan

STEPS = 40


def trained(seed: int, dropout: float) -> float:
    """Spearman's correlation on STS-B test after training on sentences."""
    options = simcse.Options(max_steps=STEPS, save_steps=STEPS, dropout=dropout)
    model = nearfar.load("minilm", max_length=options.max_length)
    rows = wiki_sentences().shuffle(seed=seed).select(range(STEPS * options.batch_size))
    with tempfile.TemporaryDirectory() as folder:
        train_plan(simcse.prepare(model, rows, options), options, folder, seed)
    return evaluate(model, sts("test")).metrics["spearman"]


def base_model(seed: int) -> float:
    return evaluate(nearfar.load("minilm", max_length=32), sts("test")).metrics["spearman"]


if __name__ == "__main__":
    run(
        Claim(
            recipe="simcse",
            claim="Two dropout masks give better views of a sentence than two identical passes.",
            data="wiki_sentences for training (no labels), STS-B test for evaluation",
            backbone="all-MiniLM-L6-v2",
            budget=f"{STEPS} steps of 64 sentences, learning rate 3e-5, tau 0.05, 32 tokens",
            metric="Spearman's correlation",
            ours="dropout 0.1",
            baseline="dropout 0",
            arms={
                "dropout 0.1": lambda seed: trained(seed, 0.1),
                "dropout 0": lambda seed: trained(seed, 0.0),
                "base model": base_model,
            },
            caveat="The paper starts from a BERT that was not trained on sentences, and improves on it; this backbone "
            "is a trained sentence encoder, so only the comparison of views is tested, not the improvement.",
        )
    )
