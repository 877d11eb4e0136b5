"""InfoNCE: do all negatives of a batch give a better encoder than one negative per anchor?

python benchmarks/claims/infonce.py [--seeds 5]
"""

from __future__ import annotations

import tempfile

import torch
from _claim import Claim, run
from _docstrings import ENTRIES, MAX_LENGTH, base_model, test_questions
from datasets import Dataset

import nearfar
from nearfar import far
from nearfar.demo.docstrings import part_of
from nearfar.evaluation import evaluate
from nearfar.kinds.plan import Plan
from nearfar.losses import Batch, ContrastLoss
from nearfar.recipes import infonce
from nearfar.training.stages import train_plan

STEPS = 30


def one_negative(batch: Batch) -> far.Far:
    """Keep only the positive and one other candidate for each anchor, a different one in every batch."""
    n = len(batch.anchors)
    shift = int(torch.randint(1, n, ()))
    keep = torch.eye(n, dtype=torch.bool)
    return far.masked(~(keep | keep.roll(shift, dims=1)))


def trained(seed: int, negatives: object = None, shuffled: bool = False) -> float:
    """nDCG@10 on the test modules after training on the others."""
    rows = [entry for entry in ENTRIES if part_of(entry.module, seed) != "test"]
    positives = [entry.text for entry in rows]
    if shuffled:
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
        positives = [positives[i] for i in order.tolist()]
    data = Dataset.from_dict({"anchor": [entry.summary for entry in rows], "positive": positives})
    model = nearfar.load("minilm", max_length=MAX_LENGTH)
    options = infonce.Options(max_steps=STEPS, save_steps=STEPS, learning_rate=5e-5, max_length=MAX_LENGTH)
    (stage,) = infonce.prepare(model, data, options)
    if negatives is not None:
        assert isinstance(stage.loss, ContrastLoss)
        stage.loss.far = negatives
    with tempfile.TemporaryDirectory() as folder:
        train_plan(Plan(model, stage), options, folder, seed)
    return evaluate(model, test_questions(seed)).metrics["ndcg@10"]


if __name__ == "__main__":
    run(
        Claim(
            recipe="infonce",
            claim="All 63 other positives of a batch as negatives give a better encoder than one negative per anchor.",
            data="docstrings of the Python standard library: summary -> API entry; whole modules held out, a new split "
            "for each seed",
            backbone="all-MiniLM-L6-v2",
            budget=f"{STEPS} steps of 64 pairs, learning rate 5e-5, {MAX_LENGTH} tokens",
            metric="nDCG@10",
            ours="all in-batch negatives",
            baseline="one negative per anchor",
            arms={
                "all in-batch negatives": trained,
                "one negative per anchor": lambda seed: trained(seed, one_negative),
                "base model": base_model,
                "all in-batch negatives, positives shuffled": lambda seed: trained(seed, shuffled=True),
            },
        )
    )
