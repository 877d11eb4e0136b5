"""Classification: can a simple classifier predict the labels from frozen vectors?"""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neighbors import KNeighborsClassifier

from nearfar.data.media import medium_in
from nearfar.errors import InputError
from nearfar.evaluation.items import item_names, item_vectors
from nearfar.evaluation.result import Result
from nearfar.evaluation.split import label_names, split_by_text
from nearfar.evaluation.tasks.task import Asked

NEIGHBOURS = 5


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """See `measure_classes`; without training rows, some of the data are used for training."""
    train = asked.train
    if train is None:
        learn, test = split_by_text(item_names(data), data["label"], seed=asked.seed)
        train, data = data.select(learn), data.select(test)
    elif missing := {"text" if medium_in(data.column_names) is None else "label", "label"} - set(train.column_names):
        raise InputError(f"the training rows have no column {min(missing)!r}", field="train")
    return measure_classes(model.host, train, data, batch_size=asked.batch_size, seed=asked.seed)


def measure_classes(
    model: SentenceTransformer, train: Dataset, test: Dataset, *, batch_size: int = 64, seed: int = 0
) -> Result:
    """Accuracy and macro F1 of a logistic regression (accuracy is primary) and of the 5 nearest neighbours by cosine.

    Both are trained on unit vectors of `train` and scored on `test`; the model itself is not trained. `per_item`
    contains 1 for a correctly classified test row and 0 for the others.

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
    classifiers = {
        "logistic": LogisticRegression(max_iter=1_000, random_state=seed),
        "knn": KNeighborsClassifier(min(NEIGHBOURS, len(learn)), metric="cosine"),
    }
    metrics: dict[str, float] = {}
    per_item: dict[str, np.ndarray] = {}
    for name, classifier in classifiers.items():
        told = classifier.fit(seen, learn).predict(asked)
        metrics[f"accuracy_{name}"] = float(accuracy_score(gold, told))
        metrics[f"f1_{name}"] = float(f1_score(gold, told, average="macro"))
        per_item[f"accuracy_{name}"] = (gold == told).astype(np.float64)
    copies = len({*item_names(train)} & {*item_names(test)})
    what = "files" if medium_in(test.column_names) else "texts"
    notes = (f"{copies} {what} are among the training rows and the test rows",) if copies else ()
    return Result("classify", "accuracy_logistic", metrics, n=len(gold), per_item=per_item, notes=notes)
