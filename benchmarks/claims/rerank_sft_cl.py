"""SFT or contrast: which loss trains the better reranker, and is it the weight or the direction that matters?

    NEARFAR_DATA=FOLDER python benchmarks/claims/rerank_sft_cl.py [--seeds 5]

Rerankers of TrecQA's candidate answers (MiniLM as cross-encoder), and the head probe: a small network on frozen MiniLM
vectors ranks WordNet's definitions of a word, with the four mixtures of weight and direction and two probes.

More parts, which a GPU does in minutes and two cores in hours, are added by RERANK_PARTS=scifact,lm: MiniLM as
cross-encoder over its own nearest documents of SciFact, and SmolLM2-135M with LoRA on TrecQA. All figures are kept by
seed in results/.rerank_sft_cl.json, so that an interrupted run resumes and a part can be added later.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
import tempfile
from dataclasses import replace
from functools import cache, partial
from typing import Any

import _claim
import numpy as np
import torch
from _claim import Also, Claim, run
from _data import located, table
from datasets import Dataset
from torch import Tensor, nn
from transformers import set_seed

import nearfar
from nearfar.data.retrieval import Retrieval
from nearfar.evaluation.tasks.ranking import dcg
from nearfar.kinds.loading import of
from nearfar.losses.reranking import reranking_loss
from nearfar.mining import Negatives, with_negatives
from nearfar.models.cross_encoder import load_cross_encoder
from nearfar.models.encoding import encode
from nearfar.recipes import rerank_sft_cl
from nearfar.training.stages import train_plan

PARTS = frozenset(filter(None, os.environ.get("RERANK_PARTS", "").split(",")))
VALIDATION_SEED = 100

# Rerankers.
NEGATIVES, BATCH, STEPS, MOST_POSITIVES = 4, 8, 100, 8
RATES = (2e-5, 5e-5, 1e-4)
#: Steps with which the better loss of MiniLM is tried on the dev questions.
LONGER = (STEPS, 200, 400)
SCIFACT_STEPS, SCIFACT_LENGTH, SCIFACT_TOP = 115, 192, 25
LORA, LM_RATES = 16, (1e-4, 3e-4)
#: A GPU was at hand for so many seeds of SmolLM2 and of SciFact.
LM_SEEDS, ABSTRACT_SEEDS = 5, 5

# The head probe.
TRAINING, VALIDATION, TEST = 1500, 200, 400
EPOCHS, GROUPS, PROBE_RATES = 4, 16, (3e-4, 1e-3, 3e-3)
CANDIDATES, SISTERS = 20, 10
PROBES = {
    "W_SFT D_SFT": ("sft", "sft"),
    "W_SFT D_CL": ("sft", "cl"),
    "W_CL D_SFT": ("cl", "sft"),
    "W_CL D_CL": ("cl", "cl"),
    "W=1 D_SFT": ("one", "sft"),
    "mask D_SFT": ("mask", "sft"),
}


kept = partial(_claim.kept, "rerank_sft_cl")


# TrecQA: a question, and sentences that answer it or not.


@cache
def questions(part: str) -> list[tuple[str, list[str], list[str]]]:
    """Question, right sentences and wrong ones; only questions that have both, as usual."""
    found: dict[str, tuple[str, list[str], list[str]]] = {}
    for row in table("trecqa", f"trecqa-{part}.tsv.gz"):
        entry = found.setdefault(row["query_id"], (row["question"], [], []))
        entry[1 if row["label"] == "1" else 2].append(row["candidate"])
    return [entry for entry in found.values() if entry[1] and entry[2]]


@cache
def groups() -> Dataset:
    """A question, an answer, and negatives: half wrong sentences of the question, half those of others."""
    generator = random.Random(0)
    everything = [text for _, right, wrong in questions("train") for text in (*right, *wrong)]
    rows = []
    for question, right, wrong in questions("train"):
        for positive in generator.sample(right, min(MOST_POSITIVES, len(right))):
            hard = generator.sample(wrong, min(NEGATIVES // 2, len(wrong)))
            others = [text for text in generator.sample(everything, 4 * NEGATIVES) if text not in (*right, *hard)]
            negatives = [*hard, *others][:NEGATIVES]
            rows.append({"anchor": question, "positive": positive})
            rows[-1] |= {f"negative_{number}": text for number, text in enumerate(negatives, 1)}
    return Dataset.from_list(rows)


@cache
def ranked(part: str) -> Dataset:
    return Dataset.from_list(
        [
            {"query": question, "candidates": [*right, *wrong], "scores": [1] * len(right) + [0] * len(wrong)}
            for question, right, wrong in questions(part)
        ]
    )


def trained(seed: int, base: str, rows: Dataset, **options: Any) -> Any:
    """A reranker; `nearfar.kinds.reranker.Reranker`."""
    set_seed(seed)  # before the new classifier
    model = load_cross_encoder(base)
    chosen = rerank_sft_cl.Options(batch_size=BATCH, **options)
    of(model).configure(chosen)
    plan = rerank_sft_cl.prepare(model, rows, chosen)
    with tempfile.TemporaryDirectory() as folder:
        train_plan(plan, chosen, folder, seed)
    return of(plan.model)


def on_trecqa(seed: int, base: str, loss: tuple[str, str], rate: float, part: str, steps: int = STEPS) -> float:
    options: dict[str, Any] = {"weight": loss[0], "direction": loss[1], "learning_rate": rate, "max_steps": steps}
    options |= {"lora_rank": LORA} if base == "smollm2" else {"max_length": 128}
    model = trained(seed, base, groups(), **options)
    return nearfar.evaluate(model, ranked(part)).score


def rate_of(base: str, loss: tuple[str, str]) -> float:
    """The learning rate that is best on the dev questions, with a seed that is not reported."""
    rates = LM_RATES if base == "smollm2" else RATES

    def dev(rate: float) -> float:
        name = f"trecqa dev {base} {loss[0]} {loss[1]} {rate:g}"
        return kept(name, lambda: on_trecqa(VALIDATION_SEED, base, loss, rate, "dev"))

    return max(rates, key=dev)


def reranker(base: str, loss: tuple[str, str], seed: int) -> float:
    name = f"trecqa test {base} {loss[0]} {loss[1]} {seed}"
    return kept(name, lambda: on_trecqa(seed, base, loss, rate_of(base, loss), "test"))


def by_steps() -> dict[int, float]:
    """nDCG@10 of the better loss on the dev questions after training for longer, with a seed that is not reported."""
    rate = rate_of("minilm", ("cl", "cl"))

    def dev(steps: int) -> float:
        name = f"trecqa dev minilm cl cl {rate:g}" + (f" {steps} steps" if steps != STEPS else "")
        return kept(name, lambda: on_trecqa(VALIDATION_SEED, "minilm", ("cl", "cl"), rate, "dev", steps))

    return {steps: dev(steps) for steps in LONGER}


def first_stage(part: str = "test") -> float:
    return kept(f"trecqa {part} first stage", lambda: nearfar.evaluate("minilm", ranked(part)).score)


def zero_shot() -> float:
    """SmolLM2 with the same prompt, before training."""
    from nearfar.kinds.loading import load_scorer

    return kept("trecqa test smollm2", lambda: nearfar.evaluate(load_scorer("smollm2"), ranked("test")).score)


# SciFact: a claim, and the abstracts that say whether it is right.


def lines(file: str) -> list[dict[str, Any]]:
    with gzip.open(located("scifact", file), "rt", encoding="utf-8") as found:
        return [json.loads(line) for line in found]


@cache
def scifact(part: str) -> Retrieval:
    relevant: dict[str, dict[str, int]] = {}
    for row in table("scifact", f"qrels-{part}.tsv.gz"):
        relevant.setdefault(row["query-id"], {})[row["corpus-id"]] = 1
    corpus = {str(row["_id"]): f"{row.get('title', '')} {row['text']}" for row in lines("corpus.jsonl.gz")}
    queries = {str(row["_id"]): row["text"] for row in lines(f"queries-{part}.jsonl.gz")}
    return Retrieval(corpus, {query: text for query, text in queries.items() if query in relevant}, relevant)


@cache
def claims_with_negatives() -> Dataset:
    of_train = scifact("train")
    pairs = [(query, document) for query, grades in of_train.relevant.items() for document in grades]
    rows = Dataset.from_dict(
        {
            "anchor": [of_train.queries[query] for query, _ in pairs],
            "positive": [of_train.corpus[document] for _, document in pairs],
        }
    )
    return with_negatives(rows, nearfar.load("minilm"), Negatives(NEGATIVES), list(of_train.corpus.values()))


def on_scifact(seed: int, loss: str) -> dict[str, float]:
    rate = rate_of("minilm", (loss, loss))
    options: dict[str, Any] = {"weight": loss, "direction": loss, "learning_rate": rate, "max_steps": SCIFACT_STEPS}
    model = trained(seed, "minilm", claims_with_negatives(), max_length=SCIFACT_LENGTH, **options)
    return nearfar.evaluate(model, scifact("test"), "rerank").metrics


def scifact_score(loss: str, metric: str, seed: int) -> float:
    return kept(f"scifact test minilm {loss} {seed}", lambda: on_scifact(seed, loss))[metric]


# The head probe: a word, its definition, and other definitions.


@cache
def glosses() -> tuple[Tensor, list[list[int]], Tensor]:
    """Vectors of words and of definitions, and the groups of each word: its own definition first.

    Half of the others are neighbours in WordNet's file, which lists the kinds of a thing one after the other.
    """
    rows = [row for row in table("wordnet", "wordnet-synsets.tsv.gz") if row["pos"] == "n"]
    texts = [row["definition"].partition(";")[0] for row in rows]
    words = [row["words"].partition("|")[0] for row in rows]
    usable = [
        4 <= len(text.split()) <= 12 and word.lower() not in text.lower()
        for text, word in zip(texts, words, strict=True)
    ]
    generator = random.Random(0)
    known = [row for row, good in enumerate(usable) if good]
    chosen = generator.sample(known, TRAINING + VALIDATION + TEST)
    found = []
    for row in chosen:
        near = [n for n in range(max(0, row - 40), min(len(rows), row + 41)) if usable[n] and n != row]
        near = sorted(near, key=lambda n: abs(n - row))[:SISTERS]
        found.append([row, *near, *generator.sample(known, CANDIDATES - 1 - len(near))])
    used = sorted({row for group in found for row in group})
    place = {row: number for number, row in enumerate(used)}
    encoder = nearfar.load("minilm")
    first = torch.from_numpy(encode(encoder, [words[row] for row in chosen]))
    second = torch.from_numpy(encode(encoder, [texts[row] for row in used]))
    return first, [[place[row] for row in group] for group in found], second


class Probe(nn.Module):
    """The states of pairs, from u * v and |u - v|, and a frozen head with the rows of yes and no."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(768, 256), nn.GELU(), nn.Linear(256, 64), nn.LayerNorm(64))
        self.register_buffer("head", torch.randn(2, 64) / 8)

    def forward(self, words: Tensor, definitions: Tensor) -> Tensor:
        """z_y and z_n, in the first dimension."""
        words = words[:, None].expand_as(definitions)
        states = self.body(8 * torch.cat([words * definitions, (words - definitions).abs()], -1))
        return (states @ self.head.T).movedim(-1, 0)


def groups_of(n: int) -> Tensor:
    """The definitions of each word in training: its own, n / 2 neighbours and n / 2 others."""
    half = n // 2
    return torch.tensor([[g[0], *g[1 : 1 + half], *g[1 + SISTERS : 1 + SISTERS + n - half]] for g in glosses()[1]])


def probe(seed: int, n: int, loss: tuple[str, str], rate: float, part: range) -> float:
    """Mean nDCG@10 of a part of the words after training on the first ones."""
    torch.manual_seed(seed)
    words, candidates, definitions = glosses()
    model, rows = Probe(), groups_of(n)
    steps = EPOCHS * (TRAINING // GROUPS)
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAINING)[: TRAINING // GROUPS * GROUPS].split(GROUPS):
            yes, no = model(words[batch], definitions[rows[batch]])
            optimizer.zero_grad()
            reranking_loss(yes, no, loss[0], loss[1]).backward()  # type: ignore[arg-type]
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        chosen = torch.tensor(candidates)[list(part)]
        yes, no = model(words[list(part)], definitions[chosen])
    scores = (yes if loss[1] == "cl" else yes - no).double().numpy()
    gains = np.eye(1, CANDIDATES)[0]
    return float(np.mean([dcg(each, gains) / dcg(gains, gains) for each in scores]))


def probed(n: int, name: str, seed: int) -> float:
    loss = PROBES[name]
    validation = range(TRAINING, TRAINING + VALIDATION)

    def on_validation(rate: float) -> float:
        known = f"probe validation {n} {name} {rate:g}"
        return kept(known, lambda: probe(VALIDATION_SEED, n, loss, rate, validation))

    def compute() -> float:
        rate = max(PROBE_RATES, key=on_validation)
        return probe(seed, n, loss, rate, range(TRAINING + VALIDATION, TRAINING + VALIDATION + TEST))

    return kept(f"probe test {n} {name} {seed}", compute)


def cosine() -> float:
    words, candidates, definitions = glosses()
    rows = list(range(TRAINING + VALIDATION, TRAINING + VALIDATION + TEST))
    scores = torch.einsum("nd,nkd->nk", words[rows], definitions[torch.tensor(candidates)[rows]]).double().numpy()
    gains = np.eye(1, CANDIDATES)[0]
    return float(np.mean([dcg(each, gains) / dcg(gains, gains) for each in scores]))


def change(n: int, of: str, seed: int) -> float:
    """How much nDCG@10 changes with the weight, or with the direction, on average over the other of the two."""
    score = {name: probed(n, name, seed) for name in list(PROBES)[:4]}
    pairs = (
        (("W_SFT D_SFT", "W_CL D_SFT"), ("W_SFT D_CL", "W_CL D_CL"))
        if of == "W"
        else (("W_SFT D_SFT", "W_SFT D_CL"), ("W_CL D_SFT", "W_CL D_CL"))
    )
    return float(np.mean([abs(score[first] - score[second]) for first, second in pairs]))


def head_probe(n: int) -> tuple[Also, Also]:
    arms = {name: partial(probed, n, name) for name in PROBES}
    return (
        Also(
            f"nDCG@10 of the head probe, {n} negatives",
            "W_SFT D_SFT",
            "W_CL D_CL",
            {**arms, "cosine of the frozen vectors": lambda seed: cosine()},
        ),
        Also(
            f"change of nDCG@10 of the head probe, {n} negatives",
            "another weight",
            "another direction",
            {"another weight": partial(change, n, "W"), "another direction": partial(change, n, "D")},
        ),
    )


def on_lm() -> Also:
    names = {name: loss for name, loss in PROBES.items() if "SFT" in name and loss[0] in ("sft", "cl")}
    arms = {name: partial(reranker, "smollm2", loss) for name, loss in {**names, "W_CL D_CL": ("cl", "cl")}.items()}
    more = {"SmolLM2 before training": lambda seed: zero_shot(), "first stage": lambda seed: first_stage()}
    return Also("nDCG@10 on TrecQA, SmolLM2-135M with LoRA", "W_SFT D_SFT", "W_CL D_CL", {**arms, **more}, LM_SEEDS)


def on_abstracts() -> Also:
    arms: dict[str, Any] = {
        loss.upper(): partial(scifact_score, loss, f"ndcg@10_top_{SCIFACT_TOP}") for loss in ("sft", "cl")
    }
    arms["first stage"] = partial(scifact_score, "sft", "ndcg@10_first_stage")
    label = f"nDCG@10 on SciFact, MiniLM's first {SCIFACT_TOP} abstracts reranked"
    return Also(label, "SFT", "CL", arms, ABSTRACT_SEEDS)


def over_first_stage(of: Also, ours: str, first: str) -> Also:
    """Whether the better reranker is better than what it puts into another order."""
    return replace(of, metric=f"{of.metric}: over the first stage", ours=ours, baseline=first)


if __name__ == "__main__":
    if sys.argv[1:] == ["--pilot"]:  # on validation data, with a seed that is not reported
        print(f"first stage, TrecQA dev {first_stage('dev'):.4f}", flush=True)
        for loss_ in ("sft", "cl"):
            print(f"{on_trecqa(VALIDATION_SEED, 'minilm', (loss_, loss_), RATES[-1], 'dev'):.4f}  {loss_}", flush=True)
        print(f"contrast by steps: {by_steps()}", flush=True)
        sys.exit()
    first = "first stage: MiniLM's cosine"
    arms = {
        "SFT": partial(reranker, "minilm", ("sft", "sft")),
        "CL": partial(reranker, "minilm", ("cl", "cl")),
        first: lambda seed: first_stage(),
    }
    lm = [on_lm()] if "lm" in PARTS else []
    abstracts = [on_abstracts()] if "scifact" in PARTS else []
    run(
        Claim(
            recipe="rerank_sft_cl",
            claim="Supervised fine-tuning trains a better reranker than contrast, because of the weights it gives to "
            "the documents of a query.",
            data="TrecQA: questions with right and wrong sentences, the train split for training, the dev split for "
            "learning rates, the test split for evaluation; the head probe: WordNet's nouns and their definitions, "
            f"{TRAINING} words for training, {VALIDATION} for learning rates, {TEST} for evaluation, {CANDIDATES} "
            "candidates each, half of the wrong ones neighbours in WordNet's file",
            backbone="all-MiniLM-L6-v2 as cross-encoder with a new classifier; the head probe: its frozen vectors, a "
            "network of two layers and two frozen random rows for yes and no",
            budget=f"{STEPS} steps of {BATCH} questions with {NEGATIVES} negatives each; the head probe: {EPOCHS} "
            f"epochs in batches of {GROUPS}; for each loss the best learning rate of {RATES}, of {PROBE_RATES} in the "
            "head probe"
            + (
                f"; SmolLM2: the same steps, LoRA of rank {LORA}, of {LM_RATES}, on a GPU with TF32 products"
                if "lm" in PARTS
                else ""
            )
            + (f"; SciFact: {SCIFACT_STEPS} steps of {BATCH} claims (one epoch)" if "scifact" in PARTS else ""),
            metric="nDCG@10 on TrecQA",
            ours="SFT",
            baseline="CL",
            arms=arms,
            also=(
                *head_probe(4),
                *head_probe(16),
                *lm,
                *abstracts,
                over_first_stage(Also("nDCG@10 on TrecQA", "SFT", "CL", arms), "CL", first),
                *(over_first_stage(each, "W_CL D_CL", "first stage") for each in lm),
                *(over_first_stage(each, "CL", "first stage") for each in abstracts),
            ),
            caveat="The paper trains language models of 3 to 8 billion parameters with 270,000 queries or more, on "
            "texts and images; its abstract says that contrast is better for encoders such as BERT, which is what most "
            "of this is. A cross-encoder has one logit, so that both directions are the same there; only the head "
            "probe can exchange them. TrecQA's test has 68 questions. No reranker is significantly better than its "
            "first stage, and by SFT MiniLM is below it. Longer training is no remedy: on the dev questions, where the "
            "first stage has 0.844, contrast has 0.827 after 100 steps, 0.825 after 200 and 0.801 after 400 (one seed, "
            "the rate that is best after 100). The train split has 78 questions with right and wrong sentences, the "
            "encoder has learned from a billion pairs."
            + (
                " SciFact's rerankers have the learning rates that are best on TrecQA, and are below their first stage."
                if "scifact" in PARTS
                else ""
            ),
        )
    )
