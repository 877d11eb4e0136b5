"""CWCL on spoken requests: do a text encoder's similarities, as weights, give a better zero-shot classifier of speech?

    NEARFAR_DATA=FOLDER NEARFAR_READINGS=FILE python benchmarks/claims/cwcl_speech.py [--seeds 5]

The setting of the paper's largest gains: a pre-trained speech encoder learns from a frozen text encoder, and predicts
intents, of which no label was seen in training. FILE is what `benchmarks/readings.py` writes, see `_requests.py`.
"""

from __future__ import annotations

import random
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

from _claim import Also, Claim, kept, run
from _requests import Rows, for_validation, hearing, named_in_trial, readings
from datasets import Dataset
from transformers import set_seed

import nearfar
from nearfar.evaluation import evaluate
from nearfar.models.encoding import encode
from nearfar.recipes import cwcl
from nearfar.training.stages import train_plan

STEPS, BATCH = 250, 64
RATES = (3e-4, 1e-3, 3e-3)
#: A seed that is not reported.
TUNED_ON = 1_000
OURS, BASELINE = "CWCL", "LiT: only the own pair"
ARMS: dict[str, dict[str, Any]] = {
    OURS: {},
    BASELINE: {"weigh": "none"},
    "CWCL with relu, not in the paper": {"weigh": "relu"},
}
SHUFFLED, WRITTEN = "CWCL, texts shuffled", "MiniLM with the written request"
LABELS = {"intent": "intents", "label": "scenarios"}


def name_of(row: dict[str, Any], label: str) -> str:
    """A label in words, as the text encoder reads it."""
    return row[label].replace("_", " ")


@cache
def parts() -> dict[str, Rows]:
    """Readings for training, in one voice for each text; those of other texts to choose by, and of others to test."""
    drawn = random.Random(0).sample(readings(), len(readings()))
    learned = {row["text"]: row for row in drawn if row["split"] == "train"}.values()
    return {
        "train": [row for row in learned if not for_validation(row)],
        "validation": [row for row in learned if for_validation(row)],
        "test": [row for row in drawn if row["split"] == "test"],
    }


def heard(model: Any, rows: Rows, label: str) -> float:
    """The share of readings whose label is the nearest of the labels of these readings."""
    named = Dataset.from_list([{"audio": row["audio"], "label": name_of(row, label)} for row in rows])
    return evaluate(model, named, "zero-shot").metrics["accuracy"]


@cache
def written(label: str) -> float:
    """The same with the words instead of audio, by the frozen encoder."""
    model, rows = nearfar.load("minilm"), parts()["test"]
    names = sorted({name_of(row, label) for row in rows})
    nearest = encode(model, [row["text"] for row in rows]) @ encode(model, names).T
    return sum(names[best] == name_of(row, label) for best, row in zip(nearest.argmax(1), rows, strict=True)) / len(
        rows
    )


def trained(seed: int, arm: str, rate: float, part: str) -> dict[str, float]:
    """The accuracy for each kind of label."""
    rows = parts()["train"] + (parts()["validation"] if part == "test" else [])
    texts = [row["text"] for row in rows]
    if arm == SHUFFLED:
        random.Random(seed).shuffle(texts)
    options = cwcl.Options(
        max_steps=STEPS,
        save_steps=STEPS,
        batch_size=BATCH,
        learning_rate=rate,
        precision="bfloat16",
        frozen="text",
        **ARMS.get(arm, {}),
    )
    set_seed(seed)
    data = Dataset.from_dict({"audio": [row["audio"] for row in rows], "text": texts})
    plan = cwcl.prepare(hearing(), data, options)
    with tempfile.TemporaryDirectory() as folder:
        train_plan(plan, options, Path(folder), seed)
    return {label: heard(plan.model, parts()[part], label) for label in LABELS}


def rate_of(arm: str) -> float:
    """The best one for intents, on texts that are not reported; shuffled texts have that of `OURS`."""
    tuned = OURS if arm == SHUFFLED else arm

    def score(rate: float) -> float:
        compute = partial(trained, TUNED_ON, tuned, rate, "validation")
        return kept("cwcl_speech", named_in_trial(f"{tuned}, rate {rate:g}"), compute)["intent"]

    return max(RATES, key=score)


def figure(seed: int, arm: str, label: str) -> float:
    if arm == WRITTEN:
        return written(label)
    compute = partial(trained, seed, arm, rate_of(arm), "test")
    return kept("cwcl_speech", named_in_trial(f"{arm}, seed {seed}"), compute)[label]


def arms(label: str) -> dict[str, Any]:
    return {arm: partial(figure, arm=arm, label=label) for arm in (*ARMS, SHUFFLED, WRITTEN)}


if __name__ == "__main__":
    sizes = {part: len(rows) for part, rows in parts().items()}
    learned, kinds = sizes["train"] + sizes["validation"], {name_of(row, "intent") for row in parts()["test"]}
    run(
        Claim(
            recipe="cwcl",
            name="cwcl_speech",
            claim="A speech encoder trained towards a frozen text encoder, with weights by the similarities of the "
            "texts, predicts the intents of new requests better, without any label, than one trained only with pairs.",
            data=f"SLURP, read by espeak-ng: {learned:,} readings of as many texts, in six voices, and "
            f"{sizes['test']:,} readings of other texts, of {len(kinds)} intents, in two other voices for testing",
            backbone="the encoder of Whisper tiny.en, trained, and all-MiniLM-L6-v2, frozen",
            budget=f"{STEPS} steps of {BATCH}; for each arm, the learning rate of {RATES} (of which pre-trained layers "
            f"have a twentieth) that is best on {sizes['validation']:,} of the training texts",
            metric="zero-shot accuracy, intents",
            ours=OURS,
            baseline=BASELINE,
            arms=arms("intent"),
            also=(Also("zero-shot accuracy, scenarios", OURS, BASELINE, arms("label")),),
            caveat="Both encoders are small, and the voices are synthetic: whether the gain of the paper, which has "
            "larger encoders, would be seen with people is open.",
        )
    )
