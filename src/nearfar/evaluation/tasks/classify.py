"""Classification: can a simple classifier predict the labels from frozen vectors?"""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

from nearfar.data.media import medium_in
from nearfar.errors import InputError
from nearfar.evaluation.chance import of_labels
from nearfar.evaluation.items import item_names, item_vectors
from nearfar.evaluation.result import Result
from nearfar.evaluation.split import label_names, split_by_text
from nearfar.evaluation.tasks.task import Asked
from nearfar.evaluation.ties import TOLERANCE, closest, macro_f1

NEIGHBOURS = 5
#: Maximum number of similarities in memory.
_AT_ONCE = 2**24


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """See `measure_classes`; without training rows, some of the data are used for training."""
    train = asked.train
    if train is None:
        learn, test = split_by_text(item_names(data), data["label"], seed=asked.seed)
        train, data = data.select(learn), data.select(test)
    elif missing := {"text" if medium_in(data.column_names) is None else "label", "label"} - set(train.column_names):
        raise InputError(f"the training rows have no column {min(missing)!r}", field="train")
    return measure_classes(model, train, data, batch_size=asked.batch_size, seed=asked.seed)


def measure_classes(model: Any, train: Dataset, test: Dataset, *, batch_size: int = 64, seed: int = 0) -> Result:
    """Accuracy and macro F1 of a logistic regression (accuracy is primary) and of the 5 nearest neighbours by cosine.

    Both are trained on unit vectors of `train` and scored on `test`; the model itself is not trained. `per_item`
    contains 1 for a correctly classified test row and 0 for the others; where labels have equally many neighbours,
    each counts in part. The order of the rows decides nothing.

    Args:
        model: The encoder.
        train: Training rows: `label`, and `text`, `image` or `audio`.
        test: Test rows with the same columns.
        batch_size: Batch size.
        seed: Random seed of the logistic regression.

    Raises:
        InputError: There is no test row, the training rows have fewer than two labels, or they lack a test label.
    """
    learn, gold = (np.array(label_names(rows["label"][:])) for rows in (train, test))
    known = set(learn.tolist())
    if len(known) < 2:
        raise InputError(f"expected at least 2 labels in the training rows, got {len(known)}", field="label")
    for label in dict.fromkeys(gold.tolist()):
        if label not in known:
            raise InputError(
                f"no training row has the label {label!r}", field="label", remedy="add one, or remove the label"
            )
    seen, asked = (item_vectors(model, rows, batch_size=batch_size) for rows in (train, test))
    told = LogisticRegression(max_iter=1_000, random_state=seed).fit(seen, learn).predict(asked)
    names, numbers = np.unique(learn, return_inverse=True)
    wanted = np.searchsorted(names, gold)
    votes = closest(_votes(seen, numbers, asked))
    right = votes[np.arange(len(wanted)), wanted]
    occurring = np.flatnonzero(np.bincount(wanted, minlength=len(names)) + votes.sum(0))
    metrics = {
        "accuracy_logistic": float(accuracy_score(gold, told)),
        "f1_logistic": float(f1_score(gold, told, average="macro")),
        "accuracy_knn": float(right.mean()),
        "f1_knn": macro_f1(votes[:, occurring], np.searchsorted(occurring, wanted)),
    }
    per_item = {"accuracy_logistic": (gold == told).astype(np.float64), "accuracy_knn": right}
    copies = len({*item_names(train)} & {*item_names(test)})
    what = "files" if medium_in(test.column_names) else "texts"
    notes = (f"{copies} {what} are among the training rows and the test rows",) if copies else ()
    if tied := int((votes.max(1) < 1).sum()):
        of_rows = f"for {tied} of {len(gold)} {what} several labels have equally many nearest neighbours"
        notes += (f"{of_rows}; each counts in part",)
    if np.ptp(np.concatenate([seen, asked]), axis=0).max() < TOLERANCE:
        notes += (f"the model gives all {what} the same vector, so no metric tells anything",)
    chance = of_labels(wanted.tolist(), len(names))
    return Result("classify", "accuracy_logistic", metrics, n=len(gold), per_item=per_item, notes=notes, chance=chance)


def _votes(
    seen: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], asked: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, "m labels"]:
    """How many of the nearest neighbours have each label; neighbours that are equally far share the last places."""
    count = min(NEIGHBOURS, len(seen))
    votes = np.zeros((len(asked), int(labels.max()) + 1))
    step = max(1, _AT_ONCE // len(seen))
    for start in range(0, len(asked), step):
        similarity = asked[start : start + step] @ seen.T
        last = -np.partition(-similarity, count - 1, axis=1)[:, count - 1, None]
        margin = TOLERANCE * np.abs(similarity).max(1, keepdims=True)
        nearer, tied = similarity > last + margin, np.abs(similarity - last) <= margin
        share = (count - nearer.sum(1, keepdims=True)) / tied.sum(1, keepdims=True)
        rows, columns = np.nonzero(nearer | tied)
        np.add.at(votes, (rows + start, labels[columns]), np.where(tied, share, 1.0)[rows, columns])
    return votes
