"""CoDiEmb: does a separate loss for each task give a better encoder for both tasks than one loss?

NEARFAR_DATA=FOLDER python benchmarks/claims/codiemb.py [--seeds 5]
"""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from _claim import Also, Claim, run
from _data import table
from datasets import Dataset, DatasetDict
from sentence_transformers.sentence_transformer.losses import CoSENTLoss
from torch import Tensor, nn

import nearfar
from nearfar.data import Retrieval
from nearfar.demo.docstrings import harvest, part_of
from nearfar.evaluation import evaluate
from nearfar.losses import ContrastLoss, ordinal
from nearfar.models.packing import embed
from nearfar.recipes import codiemb
from nearfar.training.stages import train_plan

STEPS, SIZE, NEGATIVES, MAX_LENGTH = 24, 32, 1, 32
OPTIONS = codiemb.Options(
    batch_size=SIZE,
    similarity_batch_size=SIZE,
    alike_from=0.8,
    epochs=1,
    save_steps=10_000,
    max_length=MAX_LENGTH,
)


@cache
def entries() -> list[Any]:
    return harvest()


@cache
def sts(part: str) -> Dataset:
    """STS-B: pairs with a score from 0 to 5."""
    rows = table("sts", f"stsb-{part}.tsv.gz")
    columns = {name: [row[name] for row in rows] for name in ("sentence1", "sentence2")}
    return Dataset.from_dict({**columns, "score": [float(row["score"]) for row in rows]})


def questions(seed: int, part: str) -> Retrieval:
    """Summaries of held-out modules as queries, and the entries of these modules as documents."""
    held_out = [entry for entry in entries() if part_of(entry.module, seed) == part]
    relevant: dict[str, dict[str, int]] = {}
    for entry in held_out:
        relevant.setdefault(entry.summary, {})[entry.name] = 1
    return Retrieval({entry.name: entry.text for entry in held_out}, {text: text for text in relevant}, relevant)


def training_rows(seed: int) -> DatasetDict:
    """An equal number of steps of each: summary -> entry, with an entry of the same module as negative; and STS-B."""
    draw = random.Random(seed)
    known = [entry for entry in entries() if part_of(entry.module, seed) == "train"]
    modules: dict[str, list[Any]] = {}
    for entry in known:
        modules.setdefault(entry.module, []).append(entry)
    rows = []
    for entry in draw.sample(known, len(known)):
        others = [other for other in modules[entry.module] if other.summary != entry.summary]
        if len(others) >= NEGATIVES:
            negatives = [other.text for other in draw.sample(others, NEGATIVES)]
            rows.append((entry.summary, entry.text, *negatives))
    names = ("anchor", "positive", *(f"negative_{k + 1}" for k in range(NEGATIVES)))
    columns = map(list, zip(*rows[: STEPS * SIZE], strict=True))
    scored = sts("train").shuffle(seed=seed)
    return DatasetDict(
        retrieval=Dataset.from_dict(dict(zip(names, columns, strict=True))),
        similarity=scored.select(range(STEPS * SIZE)),
    )


class JointInfoNCE(nn.Module):
    """InfoNCE for scored pairs, with the same positives as in CoDiEmb's InfoNCE, but on the last layer."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        a, b = embed(self.model, list(features))
        return ordinal.alike_in_batch(a, b, labels, OPTIONS.alike_from, OPTIONS.temperature)


class JointCoSENT(nn.Module):
    """CoSENT for pairs: positives have the score 1, negatives 0."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.cosent = model, CoSENTLoss(model)

    def forward(self, features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        anchors, *others = embed(self.model, list(features))
        repeated, candidates = anchors.repeat(len(others), 1), torch.cat(others)
        first = (torch.arange(len(candidates)) < len(anchors)).float()
        return self.cosent.compute_loss_from_embeddings([repeated, candidates], first)


def losses_of(arm: str, model: Any) -> dict[str, nn.Module]:
    if arm == "joint InfoNCE":
        retrieval = ContrastLoss(model, temperature=OPTIONS.temperature)
        return {"retrieval": retrieval, "similarity": JointInfoNCE(model)}
    return {"retrieval": JointCoSENT(model), "similarity": CoSENTLoss(model)}


#: Terms of the loss of scored pairs, by the option that is their weight.
TERMS = {
    "middle": "InfoNCE of a middle layer",
    "pearson": "Pearson's correlation",
    "preference_ranking": "preference ranking",
    "rank_kl": "KL of ranks",
}


@cache
def measured(arm: str, seed: int, part: str = "test") -> tuple[float, float]:
    """nDCG@10 of retrieval and Spearman's correlation on STS-B, after training by one of the arms."""
    model = nearfar.load("minilm", max_length=MAX_LENGTH)
    if arm != "base model":
        options = replace(OPTIONS, **{arm: 0.0}) if arm in TERMS else OPTIONS
        plan = codiemb.prepare(model, training_rows(seed), options)
        if arm.startswith("joint"):
            plan = replace(plan, loss=losses_of(arm, model))
        with tempfile.TemporaryDirectory() as folder:
            train_plan(plan, options, folder, seed)
    # The terms are those of scored pairs.
    retrieval = math.nan if arm in TERMS else evaluate(model, questions(seed, part)).metrics["ndcg@10"]
    return retrieval, evaluate(model, sts("dev" if part == "validation" else part)).metrics["spearman"]


def without(term: str) -> Also:
    """What the scored pairs' loss is worth with a term, and without."""
    name = f"without {TERMS[term]}"
    arms = {"CoDiEmb": lambda seed: measured("CoDiEmb", seed)[1], name: lambda seed: measured(term, seed)[1]}
    return Also(f"Spearman's correlation, {name}", "CoDiEmb", name, arms)


ARMS = ("CoDiEmb", "joint InfoNCE", "joint CoSENT", "base model")

if __name__ == "__main__":
    run(
        Claim(
            recipe="codiemb",
            claim="A separate loss for each task, with batches from one dataset, gives a better encoder for retrieval "
            "and similarity than InfoNCE for both.",
            data="docstrings of the Python standard library (summary -> API entry, with one entry of the same module "
            "as negative; whole modules held out, a new split for each seed) and STS-B train; evaluated on the "
            "held-out modules and on STS-B test",
            backbone="all-MiniLM-L6-v2",
            budget=f"{STEPS} steps of {SIZE} rows of each dataset, the same batches for all arms; learning rate 5e-5, "
            f"{MAX_LENGTH} tokens",
            metric="mean of nDCG@10 (retrieval) and Spearman's correlation (similarity); arms that end in one of "
            "the two names report only this metric",
            ours="CoDiEmb",
            baseline="joint InfoNCE",
            arms={
                **{arm: lambda seed, arm=arm: sum(measured(arm, seed)) / 2 for arm in ARMS},
                **{f"{arm}: retrieval": lambda seed, arm=arm: measured(arm, seed)[0] for arm in ARMS},
                **{f"{arm}: similarity": lambda seed, arm=arm: measured(arm, seed)[1] for arm in ARMS},
            },
            caveat="Terms of the loss for scored pairs are left out one at a time, and measured on similarity alone.",
            also=tuple(map(without, TERMS)),
        )
    )
