"""DefSent+: do entries made of definitions teach more than word embeddings, and does making them again help?

NEARFAR_DATA=FOLDER python benchmarks/claims/defsent_plus.py [--seeds 5]
"""

from __future__ import annotations

import random
import tempfile
from functools import cache

from _claim import Claim, run
from _data import table
from datasets import Dataset

import nearfar
from nearfar.evaluation import evaluate
from nearfar.recipes import defsent_plus
from nearfar.training.loop import train_plan

ENTRIES, DEFINITIONS, STEPS, MAX_LENGTH = 1000, 4, 40, 32
#: Chosen for each arm on pairs of STS-B dev, by a seed that is not reported, among 1e-5, 3e-5, 1e-4.
LEARNING_RATES = {"definitions": 3e-5, "words": 3e-5}


@cache
def wordnet() -> dict[str, list[str]]:
    """All entries of letters and spaces, with at most four definitions each."""
    found: dict[str, list[str]] = {}
    for row in table("wordnet", "wordnet-synsets.tsv.gz"):
        for word in row["words"].split("|"):
            if word.replace(" ", "").isalpha() and len(found.setdefault(word.lower(), [])) < DEFINITIONS:
                found[word.lower()].append(row["definition"])
    return found


def dictionary(seed: int) -> Dataset:
    """A thousand entries, another thousand for each seed: half of them one token of the vocabulary, half not."""
    vocabulary = nearfar.load("minilm").tokenizer.get_vocab()
    every, draw = wordnet(), random.Random(seed)
    halves = ([word for word in every if (word in vocabulary) == one_token] for one_token in (True, False))
    chosen = [word for half in halves for word in draw.sample(half, ENTRIES // 2)]
    pairs = [(word, definition) for word in chosen for definition in every[word]]
    return Dataset.from_dict({"entry": [word for word, _ in pairs], "definition": [text for _, text in pairs]})


@cache
def sts(split: str) -> Dataset:
    """STS-B: pairs with a score from 0 to 5."""
    rows = table("sts", f"stsb-{split}.tsv.gz")
    columns = {name: [row[name] for row in rows] for name in ("sentence1", "sentence2")}
    return Dataset.from_dict({**columns, "score": [float(row["score"]) for row in rows]})


def score(model: object, rows: Dataset) -> float:
    return evaluate(model, rows).metrics["spearman"]  # type: ignore[arg-type]


def options(targets: str, **changes: object) -> defsent_plus.Options:
    rate = LEARNING_RATES[targets]
    settings = {"max_steps": STEPS, "max_length": MAX_LENGTH, "learning_rate": rate, "targets": targets, **changes}
    return defsent_plus.Options(**settings)  # type: ignore[arg-type]


@cache
def stages(seed: int, chosen: defsent_plus.Options, held_out: str = "test") -> list[float]:
    """Spearman's correlation after each stage."""
    model = nearfar.load("minilm", max_length=MAX_LENGTH)
    plan = defsent_plus.prepare(model, dictionary(seed), chosen)
    scores: list[float] = []
    while True:
        with tempfile.TemporaryDirectory() as folder:
            train_plan(model, plan, chosen, folder, seed)
        scores.append(score(model, sts(held_out)))
        if plan.then is None:
            return scores
        plan = plan.then()


@cache
def untrained(held_out: str = "test") -> float:
    return score(nearfar.load("minilm", max_length=MAX_LENGTH), sts(held_out))


if __name__ == "__main__":
    run(
        Claim(
            recipe="defsent_plus",
            claim="A definition that is to find its entry among entries made of definitions, remade once by the better "
            "encoder, teaches more than one that is to find its word among word embeddings.",
            data=f"WordNet: {ENTRIES} entries, half of them one token of the vocabulary, at most {DEFINITIONS} "
            "definitions each, others for each seed; STS-B test for measuring",
            backbone="all-MiniLM-L6-v2",
            budget=f"{STEPS} steps of 32 definitions from the model as it comes, {MAX_LENGTH} tokens; learning rate "
            f"{LEARNING_RATES['definitions']:g} and {LEARNING_RATES['words']:g} (DefSent), chosen on STS-B dev",
            metric="Spearman's correlation",
            ours="DefSent+, two stages",
            baseline="DefSent",
            arms={
                "DefSent+, two stages": lambda seed: stages(seed, options("definitions"))[1],
                "DefSent": lambda seed: stages(seed, options("words"))[0],
                "DefSent+, one stage": lambda seed: stages(seed, options("definitions"))[0],
                "untrained": lambda seed: untrained(),
            },
            caveat="The paper starts from a BERT never trained on sentences; this backbone is a trained sentence "
            "encoder. DefSent has no language-modelling head here, as this backbone comes without one: both arms train "
            "the same projection, a copy of the pooler. The second stage costs its bank and first stage on top.",
        )
    )
