"""Classification by a model's own labels: does a classifier predict the right label?"""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset

from nearfar.data.media import items_of, medium_in
from nearfar.data.utterances import Utterance
from nearfar.errors import InputError
from nearfar.evaluation.chance import of_labels
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.slots import slu_f1
from nearfar.evaluation.split import label_names
from nearfar.evaluation.tasks.task import Asked
from nearfar.evaluation.ties import closest, macro_f1
from nearfar.evaluation.words import word_error_rate


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """Accuracy and macro F1 of the label that the model predicts for each row.

    For audio files with texts and a model that writes transcripts, also `wer`, the word error rate, and
    `accuracy_written`, that of the label that it writes before the transcript; for rows with `slots`, also `slu_f1`, of
    the slots that it writes.

    A row whose label the model does not know counts as wrong; a note says how many there are.

    Args:
        model: A model with the ability `Classifies`.
        data: Rows with `label`, and `text`, `image` or `audio`.
        asked: Its batch size and seed are used.

    Raises:
        InputError: Training rows were passed, or the model does not read such items.
    """
    if asked.train is not None:
        problem = "a classifier predicts its own labels, and is not trained on rows"
        raise InputError(problem, field="train", remedy="remove --train")
    medium = medium_in(data.column_names)
    if medium != model.medium:
        problem = f"expected rows with a column {model.medium or 'text'!r}, which the model classifies"
        raise InputError(f"{problem}, got {', '.join(data.column_names)}", remedy="pass such rows, or another model")
    gold, known = label_names(data["label"][:]), model.labels
    names = list(dict.fromkeys((*known, *gold)))
    wanted = np.array([names.index(label) for label in gold])
    told = np.zeros((len(gold), len(names)))
    told[:, : len(known)] = closest(model.label_scores(items_of(data), batch_size=asked.batch_size))
    right = told[np.arange(len(gold)), wanted]
    occurring = np.flatnonzero(np.bincount(wanted, minlength=len(names)) + told.sum(0))
    unknown = int((wanted >= len(known)).sum())
    metrics: dict[str, float] = {
        "accuracy": float(right.mean()),
        "f1": macro_f1(told[:, occurring], np.searchsorted(occurring, wanted)),
    }
    written = model.understood(items_of(data), batch_size=asked.batch_size) if "text" in data.column_names else None
    if written is not None:
        metrics["accuracy_written"] = float(
            np.mean([one.label == label for one, label in zip(written, gold, strict=True)])
        )
        metrics["wer"] = word_error_rate([one.text for one in written], data["text"][:])
    if written is not None and "slots" in data.column_names:
        right_slots = [Utterance.of("", slots, "").slots for slots in data["slots"][:]]
        metrics["slu_f1"] = slu_f1([one.slots for one in written], right_slots)
    count = f"{unknown} of {len(gold)} rows have a label that the model does not know; they count as wrong"
    notes = (count,) if unknown else ()
    return Result(
        "classify",
        "accuracy",
        metrics,
        n=len(gold),
        per_item={"accuracy": right},
        notes=notes,
        interval=bootstrap_mean(right, seed=asked.seed) if len(right) > 1 else None,
        chance=of_labels(wanted.tolist(), len(known)),
    )
