"""SimCSE: are two dropout masks better views than two identical ones?

NEARFAR_DATA=FOLDER python benchmarks/claims/simcse.py [--seeds 5]
"""

from __future__ import annotations

import tempfile
from functools import cache

from _claim import Claim, run
from _data import table
from datasets import Dataset

import nearfar
from nearfar.evaluation import evaluate
from nearfar.recipes import simcse
from nearfar.training.stages import train_plan

STEPS = 40


@cache
def sts() -> Dataset:
    """STS-B test: pairs with a score from 0 to 5."""
    rows = table("sts", "stsb-test.tsv.gz")
    return Dataset.from_dict(
        {
            "sentence1": [row["sentence1"] for row in rows],
            "sentence2": [row["sentence2"] for row in rows],
            "score": [float(row["score"]) for row in rows],
        }
    )


@cache
def sentences() -> Dataset:
    """Distinct Wikipedia sentences with at least five words."""
    found = dict.fromkeys(row["sentence"] for row in table("wiki_sentences", "wiki-sentences-train.tsv.gz"))
    return Dataset.from_dict({"text": [text for text in found if len(text.split()) >= 5]})


def trained(seed: int, dropout: float) -> float:
    """Spearman's correlation on STS-B test after training on sentences."""
    options = simcse.Options(max_steps=STEPS, save_steps=STEPS, dropout=dropout)
    model = nearfar.load("minilm", max_length=options.max_length)
    rows = sentences().shuffle(seed=seed).select(range(STEPS * options.batch_size))
    with tempfile.TemporaryDirectory() as folder:
        train_plan(simcse.prepare(model, rows, options), options, folder, seed)
    return evaluate(model, sts()).metrics["spearman"]


def base_model(seed: int) -> float:
    return evaluate(nearfar.load("minilm", max_length=32), sts()).metrics["spearman"]


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
