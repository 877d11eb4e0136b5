"""CLESS: do label texts, and words of texts as labels before them, help on rare labels?

    python benchmarks/claims/cless.py [--seeds 5]

Texts are WordNet's definitions of nouns, labels the names of their next three hypernyms, most of them rare. Reads
`/usr/share/wordnet/data.noun`, which is in Debian's package wordnet-base.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from _claim import Also, Claim, kept, run
from datasets import Dataset
from torch import nn

from nearfar.evaluation.tasks.labels import average_precision, buckets, score_labels
from nearfar.models.word_encoder import knows, word_encoder
from nearfar.recipes import cless
from nearfar.training.stages import train_plan

NOUNS = Path("/usr/share/wordnet/data.noun")
DOCUMENTS, TRAINED_ON, TESTED_ON, LEAST = 14_000, 11_200, 1_000, 8
SETTINGS: dict[str, Any] = {
    "batch_size": 128,
    "learning_rate": 1e-3,
    "positives": 5,
    "negatives": 60,
    "save_steps": 5000,
}
EPOCHS = 16.0
BCE, SCRATCH, BOTH, WORDS = (
    "CNN, one output a label",
    "CLESS from labels",
    "CLESS from words, then labels",
    "CLESS from words",
)
PLAIN = "words, then labels; no product"
ARMS: dict[str, dict[str, Any]] = {
    SCRATCH: {"words": 0.0, "epochs": EPOCHS},
    BOTH: {"words": EPOCHS / 2, "epochs": EPOCHS / 2},
    PLAIN: {"words": EPOCHS / 2, "epochs": EPOCHS / 2, "matcher": "plain"},
    WORDS: {"words": EPOCHS / 2},
}


@cache
def documents() -> tuple[list[tuple[str, list[str]]], list[tuple[str, list[str]]], list[str]]:
    """Training and test texts with their labels, and the labels from frequent to rare."""
    synsets = {}
    for line in NOUNS.read_text("utf-8").splitlines():
        if line.startswith(" "):
            continue
        fields, _, gloss = line.partition(" | ")
        parts = fields.split()
        count = int(parts[3], 16)
        pointers = parts[4 + 2 * count + 1 :]
        above = [pointers[n + 1] for n, symbol in enumerate(pointers) if symbol in ("@", "@i")]
        synsets[parts[0]] = (parts[4].replace("_", " ").lower(), gloss.partition(";")[0].strip(), above)

    def hypernyms(synset: str) -> list[str]:
        found: list[str] = []
        above = synsets[synset][2]
        while above and len(found) < 3:
            found.append(synsets[above[0]][0])
            above = synsets[above[0]][2]
        return list(dict.fromkeys(found))

    every = [(gloss, hypernyms(name)) for name, (_, gloss, _) in sorted(synsets.items()) if len(gloss.split()) >= 3]
    chosen = random.Random(0).sample(every, DOCUMENTS)
    train, test = chosen[:TRAINED_ON], chosen[TRAINED_ON : TRAINED_ON + TESTED_ON]
    counts = Counter(label for _, labels in train for label in labels)
    known = sorted((label for label, count in counts.items() if count >= LEAST), key=lambda name: (-counts[name], name))
    allowed = set(known)

    def filtered(rows: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
        return [(text, [label for label in labels if label in allowed]) for text, labels in rows]

    return filtered(train), filtered(test), known


def metrics(scores: Any) -> dict[str, float]:
    """Average precisions in percent, and how well all pairs are ranked with the labels' frequency added."""
    train, test, names = documents()
    gold = np.array([[name in labels for name in names] for _, labels in test])
    there = gold.any(0)
    each = np.array([average_precision(scores[:, n], gold[:, n]) if there[n] else np.nan for n in range(len(names))])
    counts = Counter(label for _, labels in train for label in labels)
    prior = np.log([counts[name] for name in names])
    parts = buckets([counts[name] for name in names])
    found = {f"bucket {n}": 100 * float(np.nanmean(each[part])) for n, part in enumerate(parts, 1)}
    found["macro"] = 100 * float(np.nanmean(each))
    found["micro"] = 100 * average_precision(scores.ravel(), gold.ravel())
    return found | {"micro + log q": 100 * average_precision((scores + prior).ravel(), gold.ravel())}


def computed(seed: int, arm: str) -> dict[str, float]:
    transformers.set_seed(seed)
    train, test, names = documents()
    texts = [text for text, _ in test]
    if arm == "random":
        return metrics(np.random.default_rng(seed).normal(size=(len(test), len(names))))
    if arm == BCE:
        return metrics(one_output_each(seed))
    columns: dict[str, Any] = {"text": [text for text, _ in train]}
    if arm != WORDS:
        columns["labels"] = [labels for _, labels in train]
    options = cless.Options(**{**SETTINGS, **ARMS[arm]})
    plan = cless.prepare(None, Dataset.from_dict(columns), options)
    with tempfile.TemporaryDirectory() as folder:
        train_plan(plan, options, folder, seed)
    return metrics(score_labels(plan.model, texts, names))


def one_output_each(seed: int) -> Any:
    """The same text encoder with an output for each label, binary cross-entropy, and as many epochs."""
    train, test, names = documents()
    encoder = word_encoder([text for text, _ in train])
    train = [row for row in train if knows(encoder, row[0])]
    text = nn.Sequential(*encoder[0].sub_modules["query"])  # type: ignore[union-attr, arg-type]
    place = {name: number for number, name in enumerate(names)}
    head = nn.Linear(int(encoder.get_embedding_dimension() or 0), len(names))
    optimizer = torch.optim.Adam([*text.parameters(), *head.parameters()], SETTINGS["learning_rate"])
    size, rng = SETTINGS["batch_size"], np.random.default_rng(seed)
    steps, done = int(EPOCHS) * (len(train) // size), 0
    for _ in range(int(EPOCHS)):
        for rows in rng.permutation(len(train))[: len(train) // size * size].reshape(-1, size):
            for group in optimizer.param_groups:
                group["lr"] = SETTINGS["learning_rate"] * (1 - done / steps)
            wanted = torch.zeros(size, len(names))
            for at, row in enumerate(rows):
                wanted[at, [place[label] for label in train[row][1]]] = 1.0
            features = encoder.preprocess([train[row][0] for row in rows], task="query")
            loss = nn.functional.binary_cross_entropy_with_logits(head(text(features)["sentence_embedding"]), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
    with torch.no_grad():
        features = encoder.preprocess([text for text, _ in test], task="query")
        scores = head(text.eval()(features)["sentence_embedding"])
    # A text without a known word has no scores.
    return scores.nan_to_num(0.0).numpy()


def figure(seed: int, arm: str, metric: str) -> float:
    return kept("cless", f"{arm} {seed}", lambda: computed(seed, arm))[metric]


def arms(metric: str, *names: str) -> dict[str, Any]:
    return {name: partial(figure, arm=name, metric=metric) for name in names or (BCE, *ARMS, "random")}


if __name__ == "__main__":
    run(
        Claim(
            recipe="cless",
            claim="A matcher of texts and label texts beats a classifier with one output for each label, most of all "
            "on rare labels; words of the texts as labels, before the labels, help further.",
            data=f"WordNet: definitions of nouns, labelled by the names of their next three hypernyms; {TRAINED_ON:,} "
            f"for training, {TESTED_ON:,} for the result; labels that occur {LEAST} times or more",
            backbone="new weights: word vectors and a convolution, 100 wide",
            budget=f"{EPOCHS:.0f} epochs for all but the words alone (half of them), Adam 1e-3 in batches of 128",
            metric="mean average precision of the rarest labels, a fifth of all occurrences (percent)",
            ours=BOTH,
            baseline=BCE,
            arms=arms("bucket 5"),
            also=(
                Also("mean average precision of all labels (percent)", BOTH, SCRATCH, arms("macro")),
                Also("mean average precision of the most frequent labels (percent)", SCRATCH, BCE, arms("bucket 1")),
                Also("average precision over all pairs (percent)", BOTH, BCE, arms("micro")),
                Also("the same with the labels' log frequency", BOTH, BCE, arms("micro + log q")),
                Also("rarest labels, no label seen (percent)", WORDS, "random", arms("bucket 5", WORDS, "random")),
            ),
            caveat="",
        )
    )
