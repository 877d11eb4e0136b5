"""Qwen3 Embedding: do more blocks in the denominator, and a mask, train a better encoder than InfoNCE on the same rows?

python benchmarks/claims/qwen3_embedding.py [--seeds 5]
"""

from __future__ import annotations

import tempfile
from functools import cache, partial
from typing import Any

import torch
from _claim import Claim, kept, run
from _docstrings import ENTRIES, MAX_LENGTH, base_model, questions
from datasets import Dataset

import nearfar
from nearfar.demo.docstrings import part_of
from nearfar.evaluation import evaluate
from nearfar.recipes import infonce, qwen3_embedding
from nearfar.training.stages import train_plan

STEPS, BATCH, LAYERS = 120, 32, 3
#: The one that is best for the baseline is used for all.
LEARNING_RATES = (5e-5, 1e-4, 2e-4)
#: A seed that is not reported; its validation modules choose the rate.
TUNED_ON = 1_000
BASELINE = "InfoNCE"
ARMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Qwen3 Embedding's loss": (qwen3_embedding, {}),
    BASELINE: (infonce, {}),
    "only the mask": (qwen3_embedding, {"query_query": False, "document_document": False}),
    "only the blocks": (qwen3_embedding, {"mask": False}),
}


@cache
def similarities() -> torch.Tensor:
    """Of each summary to each entry, by the base model."""
    model = nearfar.load("minilm", layers=LAYERS, max_length=MAX_LENGTH)
    sides = ([entry.summary for entry in ENTRIES], [entry.text for entry in ENTRIES])
    summaries, texts = (
        model.encode(side, batch_size=256, normalize_embeddings=True, convert_to_tensor=True) for side in sides
    )
    return summaries @ texts.T


@cache
def rows(seed: int) -> Dataset:
    """Summary -> entry, and the entry of another one that the base model finds most similar to the summary."""
    parts = {"train"} if seed == TUNED_ON else {"train", "validation"}
    known = [index for index, entry in enumerate(ENTRIES) if part_of(entry.module, seed) in parts]
    found = similarities()[known][:, known].fill_diagonal_(-2)
    negatives = [ENTRIES[known[place]].text for place in found.argmax(1).tolist()]
    return Dataset.from_dict(
        {
            "anchor": [ENTRIES[index].summary for index in known],
            "positive": [ENTRIES[index].text for index in known],
            "negative": negatives,
        }
    )


def trained(seed: int, arm: str, rate: float) -> float:
    """nDCG@10 on the test modules, or on the validation modules where the rate is chosen."""
    recipe, settings = ARMS[arm]
    model = nearfar.load("minilm", layers=LAYERS, max_length=MAX_LENGTH)
    options = recipe.Options(
        max_steps=STEPS, save_steps=STEPS, batch_size=BATCH, learning_rate=rate, max_length=MAX_LENGTH, **settings
    )
    with tempfile.TemporaryDirectory() as folder:
        train_plan(recipe.prepare(model, rows(seed), options), options, folder, seed)
    asked = questions(seed, "validation" if seed == TUNED_ON else "test")
    return evaluate(model, asked).metrics["ndcg@10"]


def figure(seed: int, arm: str) -> float:
    def on_validation(rate: float) -> float:
        return kept("qwen3_embedding", f"validation {rate:g}", lambda: trained(TUNED_ON, BASELINE, rate))

    rate = max(LEARNING_RATES, key=on_validation)
    return kept("qwen3_embedding", f"{arm} {seed}", lambda: trained(seed, arm, rate))


if __name__ == "__main__":
    run(
        Claim(
            recipe="qwen3_embedding",
            claim="Queries and documents of other rows in the denominator, with likely false negatives masked by the "
            "model itself, train a better encoder than InfoNCE on the same rows.",
            data="docstrings of the Python standard library: summary -> API entry, with a hard negative for each, "
            "mined by the base model without any filter; whole modules held out, a new split for each seed",
            backbone=f"the first {LAYERS} layers of all-MiniLM-L6-v2",
            budget=f"{STEPS} steps of {BATCH} rows, tau 0.05, {MAX_LENGTH} tokens; for all, the learning rate of "
            f"{LEARNING_RATES} that is best for the baseline on validation modules",
            metric="nDCG@10",
            ours=next(iter(ARMS)),
            baseline=BASELINE,
            arms={
                **{arm: partial(figure, arm=arm) for arm in ARMS},
                "base model": lambda seed: base_model(seed, layers=LAYERS),
            },
            caveat="The report has no ablation of its loss; the claim is what its choice implies. A small encoder "
            "instead of a language model, and one hard negative for each row. The highest rate of the grid was the "
            "best for the baseline: with more steps all arms may still gain. It ran on an H200 with torch 2.11 "
            "(products in TF32) and Python 3.12.3; seed 1 of `only the blocks` on a CPU with Python 3.12.1, whose "
            "docstrings differ a little.",
        )
    )
