"""DSE from a raw backbone, with a teacher that is better than the student: do its logits add to the labels?

NEARFAR_DATA=FOLDER NEARFAR_SMALL_BERT=FOLDER python benchmarks/claims/dse_raw.py [--seeds 5]
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import _raw
import numpy as np
from _claim import RESULTS, Also, Claim, kept, run
from _data import sts, table
from _raw import BACKBONES, STEPS, TUNED_ON, Backbone, budget, known_as, named
from datasets import Dataset
from filelock import FileLock
from sklearn.metrics import average_precision_score
from transformers import set_seed

import nearfar
from nearfar.evaluation import evaluate
from nearfar.models.pairs.teacher import Fit, fit_teacher, load_teacher, logits_of
from nearfar.recipes import dse
from nearfar.writing import replace_folder

#: Pairs of QQP for the result and for what is chosen; the others are learned from.
TESTED, CHOSEN_BY = 2_500, 1_000
MAX_LENGTH, BATCH = 32, 32
RATES = (3e-5, 1e-4, 3e-4)
#: The teacher is trained longer, in this order, until it is no better on the pairs for choosing.
TEACHER_EPOCHS = (1.0, 2.0, 4.0)
TEACHER_RATE = 1e-4

OURS, BASELINE, TEACHER = "labels and teacher (alpha 0.5)", "labels alone", "the teacher itself"
ALPHA = {OURS: 0.5, BASELINE: 0.0}
Pairs = list[tuple[str, str]]


@cache
def qqp() -> dict[str, Dataset]:
    """Pairs of questions by split, of which no two have a question in common, but for case and punctuation."""
    rows = table("qqp", "qqp-dev.tsv.gz")
    random.Random(0).shuffle(rows)
    test = rows[:TESTED]
    validation = without(rows[TESTED:], test)[:CHOSEN_BY]
    parts = {"test": test, "validation": validation, "train": without(rows[TESTED:], [*test, *validation])}
    return {
        part: Dataset.from_dict(
            {
                "sentence1": [row["question1"] for row in found],
                "sentence2": [row["question2"] for row in found],
                "score": [float(row["is_duplicate"]) for row in found],
            }
        )
        for part, found in parts.items()
    }


def questions(row: dict[str, str]) -> set[str]:
    """Both questions of a pair, without case and punctuation."""
    return {" ".join(re.findall(r"\w+", row[name].lower())) for name in ("question1", "question2")}


def without(rows: list[dict[str, str]], others: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows that have no question in common with the others."""
    seen = set().union(*map(questions, others))
    return [row for row in rows if seen.isdisjoint(questions(row))]


def pairs_of(rows: Dataset) -> Pairs:
    return list(zip(rows["sentence1"], rows["sentence2"], strict=True))


def learned_by_teacher() -> tuple[Pairs, list[float]]:
    """The pairs of QQP for training, all of MRPC, and those of STS-B with their score as a probability."""
    news = [row for part in ("train", "val", "test") for row in table("mrpc", f"mrpc-{part}.tsv.gz")]
    pairs = pairs_of(qqp()["train"]) + [(row["sentence1"], row["sentence2"]) for row in news]
    targets = [*qqp()["train"]["score"], *(float(row["is_paraphrase"]) for row in news)]
    return pairs + pairs_of(sts("train")), targets + [score / 5 for score in sts("train")["score"]]


def teacher() -> str:
    """The folder of the common teacher of all students, which one process trains."""
    folder = RESULTS / ".dse_raw" / "teacher"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        best = 0.0
        for epochs in () if folder.is_dir() else TEACHER_EPOCHS:
            fit = Fit(epochs, TEACHER_RATE, BATCH, 2 * MAX_LENGTH, "bfloat16")
            found = fit_teacher(nearfar.load("minilm"), *learned_by_teacher(), "binary", 1, fit)
            rows = qqp()["validation"]
            score = precision(logits_of(found, pairs_of(rows), "binary", 1)[:, 0].numpy(), rows)
            print(f"teacher of {epochs:g} epochs: average precision {score:.4f} on the validation pairs", flush=True)
            if score <= best:
                break
            best = score
            replace_folder(folder.with_name("best"), lambda part: found.save_pretrained(str(part)))  # noqa: B023
        if not folder.is_dir():
            folder.with_name("best").rename(folder)
    return str(folder)


def precision(scores: np.ndarray, rows: Dataset) -> float:
    return float(average_precision_score(rows["score"], scores))


def measured(scores: np.ndarray, told: np.ndarray) -> dict[str, float]:
    """The figures of logits on the test pairs; `told` are those of the teacher."""
    rows = qqp()["test"]
    return {
        "accuracy": float(((scores > 0) == np.asarray(rows["score"], bool)).mean()),
        "precision": precision(scores, rows),
        "teacher": float(np.corrcoef(scores, told)[0, 1]),
    }


@cache
def told() -> np.ndarray:
    """The teacher's logits on the test pairs."""
    model = load_teacher(teacher(), max_length=2 * MAX_LENGTH)
    return logits_of(model, pairs_of(qqp()["test"]), "binary", 1)[:, 0].numpy()


def trained(seed: int, backbone: Backbone, arm: str, rate: float) -> dict[str, float]:
    settings = {**budget(backbone), "max_steps": 2 * STEPS, "save_steps": 2 * STEPS, "eval_steps": max(1, STEPS // 4)}
    options = dse.Options(
        **settings,
        kind="binary",
        alpha=ALPHA[arm],
        teacher=teacher() if ALPHA[arm] else "",
        batch_size=BATCH,
        learning_rate=rate,
        max_length=MAX_LENGTH,
    )
    set_seed(seed)
    plan = dse.prepare(_raw.encoder(backbone), qqp()["train"], options)
    found = _raw.fitted(plan, options, seed, qqp()["validation"])
    return found | measured(plan.model.score(pairs_of(qqp()["test"]))[:, 0].numpy(), told())


def rate_of(backbone: Backbone, arm: str) -> float:
    def score(rate: float) -> float:
        name = f"{known_as(backbone)}, {arm}, rate {rate:g}"
        return kept("dse_raw", name, partial(trained, TUNED_ON, backbone, arm, rate))["validation"]

    return max(RATES, key=score)


def figure(seed: int, backbone: Backbone, arm: str, name: str) -> float:
    if arm == TEACHER:
        return kept("dse_raw", arm, lambda: measured(told(), told()))[name]
    compute = partial(trained, seed, backbone, arm, rate_of(backbone, arm))
    return kept("dse_raw", f"{known_as(backbone)}, {arm}, seed {seed}", compute)[name]


def arms(backbone: Backbone, name: str, *names: str) -> dict[str, Callable[[int], float]]:
    return {arm: partial(figure, backbone=backbone, arm=arm, name=name) for arm in names or (*ALPHA, TEACHER)}


def untrained(backbone: Backbone) -> float:
    """The average precision of the cosine before any training."""

    def compute() -> float:
        rows = qqp()["test"]
        return precision(evaluate(_raw.encoder(backbone), rows).per_item["similarity"], rows)

    return kept("dse_raw", f"{known_as(backbone)}, untrained", compute)


def shared_words() -> float:
    """The average precision of the words that two questions share."""
    rows = qqp()["test"]
    words = [[set(text.lower().split()) for text in pair] for pair in pairs_of(rows)]
    return precision(np.array([len(a & b) / len(a | b) for a, b in words]), rows)


def also(backbone: Backbone) -> list[Also]:
    precisions: dict[str, Any] = arms(backbone, "precision")
    precisions |= {"untrained, cosine": lambda seed: untrained(backbone), "shared words": lambda seed: shared_words()}
    return [
        Also(named("average precision", backbone), OURS, BASELINE, precisions),
        Also(
            named("correlation with the teacher's logits", backbone), OURS, BASELINE, arms(backbone, "teacher", *ALPHA)
        ),
        Also(named("step of the best checkpoint", backbone), OURS, BASELINE, arms(backbone, "step", *ALPHA)),
    ]


if __name__ == "__main__":
    no, learned = 1 - float(np.mean(qqp()["test"]["score"])), len(qqp()["train"])
    run(
        Claim(
            recipe="dse",
            name="dse_raw",
            claim="Reproducing the logits of a better cross-encoder in addition to the labels gives a better pair "
            "scorer than the labels alone.",
            data=f"QQP: {learned:,} pairs of questions for training, {CHOSEN_BY:,} for choosing, {TESTED:,} for the "
            "result, without questions in common; the teacher is also trained on MRPC and STS-B",
            backbone=f"{_raw.described()}; the teacher is a cross-encoder that starts from all-MiniLM-L6-v2",
            budget=f"students: {2 * STEPS} steps of {BATCH} pairs, {MAX_LENGTH} tokens; the checkpoint, and for each "
            f"arm the learning rate of {RATES}, are the best on the validation pairs, by Spearman's correlation. "
            f"Teacher: {TEACHER_RATE:g}, as many epochs of {TEACHER_EPOCHS} as improve it on the validation pairs",
            metric="accuracy",
            ours=OURS,
            baseline=BASELINE,
            arms={**arms(BACKBONES[0], "accuracy"), "always no": lambda seed: no},
            also=(
                *also(BACKBONES[0]),
                *(
                    part
                    for each in BACKBONES[1:]
                    for part in (Also(named("accuracy", each), OURS, BASELINE, arms(each, "accuracy")), *also(each))
                ),
            ),
            caveat="Teacher and student start from different models here: in the paper, both from BERT-large. MiniLM "
            "has seen duplicates of Quora in its own training, perhaps some of the test pairs; the student has not. "
            "All seeds have the same teacher, so the interval does not include the variation between teachers.",
        )
    )
