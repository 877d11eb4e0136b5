"""What gives each item the probability of each label: a matcher of texts and labels, or a classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.errors import InputError
from nearfar.models.abilities import Classifies, Scores
from nearfar.models.encoding import check_batch_size

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.data.media import Medium
    from nearfar.models.label_counts import LabelCounts

__all__ = ["Calibration", "Labeller", "check_options", "labeller"]

#: None; `training`; or the number of rows with each label.
Calibration = str | Mapping[str, int] | None
_OTHER_MODEL = "use a model that `nearfar train cless` or `nearfar train coconut` makes"


@dataclass(frozen=True)
class Labeller:
    """The probabilities of labels.

    Args:
        labels: The labels.
        medium: The medium of the items; None: they are texts.
        batch_size: Batch size.
        probabilities: From items to a matrix with a row for each item, a column for each label.
    """

    labels: list[str]
    medium: Medium | None
    batch_size: int
    probabilities: Callable[[Sequence[Any]], Float[np.ndarray, "n labels"]]


def check_options(model: Any, *, labels: bool, calibrate: bool, top: int) -> None:
    """Check what can be checked before weights are loaded.

    Args:
        model: A model of `nearfar.kinds`, or its class.
        labels: Whether labels are given.
        calibrate: Whether a calibration is requested.
        top: Number of labels for each item.

    Raises:
        InputError: The model gives no probabilities of labels, or an option does not fit it.
    """
    if top < 1:
        raise InputError(f"invalid number of labels {top}: must be 1 or more", field="top")
    if _has(model, Classifies):
        if labels:
            problem = f"{model.words} predicts its own labels"
            raise InputError(problem, field="labels", remedy="remove --labels, or use a model that matches labels")
        if calibrate:
            problem = f"{model.words} is not calibrated by the frequency of labels"
            raise InputError(problem, field="calibrate", remedy="remove --calibrate")
    elif not _has(model, Scores):
        raise InputError(f"{model.words} returns no probabilities of labels", field="model", remedy=_OTHER_MODEL)
    elif not labels:
        problem = f"expected labels for {model.words}, got none"
        raise InputError(problem, field="labels", remedy="pass a file with a label on each line, --labels labels.txt")


def labeller(
    model: Any, labels: Sequence[str] | None = None, calibrate: Calibration = None, *, batch_size: int = 64
) -> Labeller:
    """How a model gives probabilities of labels.

    Args:
        model: A model of `nearfar.kinds` that `check_options` accepts.
        labels: Label texts; None for a model that has its own.
        calibrate: See `nearfar.predict`.
        batch_size: Batch size.

    Raises:
        InputError: The scores of the model are no probabilities, a label is listed twice, or there are no counts.
    """
    check_batch_size(batch_size)
    if isinstance(model, Classifies):
        return Labeller(model.labels, model.medium, batch_size, lambda items: _of_classifier(model, items, batch_size))
    names = _checked(labels or ())
    if model.probabilities(np.zeros(1, np.float32)) is None:
        problem = f"the scores of {model.words} are no probabilities of labels"
        raise InputError(problem, field="model", remedy=_OTHER_MODEL)
    noise = 0.0 if calibrate is None else _counts(model, calibrate).log_noise(names)
    scores = model.scorer_against(names, batch_size=batch_size)
    return Labeller(names, None, batch_size, lambda texts: model.probabilities(scores(texts) + noise))


def _has(model: Any, ability: type) -> bool:
    return issubclass(model if isinstance(model, type) else type(model), ability)


def _of_classifier(model: Classifies, items: Sequence[Any], batch_size: int) -> Float[np.ndarray, "n labels"]:
    found = model.probabilities(model.label_scores(items, batch_size=batch_size))
    if found is None:
        problem = "the folder does not record the temperature of its softmax"
        raise InputError(problem, field="model", remedy="train the classifier again")
    return found


def _checked(labels: Sequence[str]) -> list[str]:
    if not labels:
        raise InputError("expected at least one label, got none", field="labels", remedy="add a label text")
    for label in labels:
        if not isinstance(label, str) or not label.strip():
            raise InputError(f"expected a label text, got {label!r}", field="labels", remedy="remove it")
    if len(set(labels)) != len(labels):
        twice = next(label for place, label in enumerate(labels) if label in labels[:place])
        raise InputError(f"the label {twice!r} is listed twice", field="labels", remedy="remove one of them")
    return list(labels)


def _counts(model: Any, calibrate: str | Mapping[str, int]) -> LabelCounts:
    """The counts by which to calibrate."""
    known: LabelCounts | None = getattr(model, "label_counts", None)
    if known is None:
        problem = "the model does not record how labels were drawn in training"
        raise InputError(problem, field="calibrate", remedy="remove --calibrate, or train with `nearfar train cless`")
    if not isinstance(calibrate, str):
        return known.with_counts(calibrate)
    if calibrate != "training":
        problem = f"invalid calibration {calibrate!r}: must be 'training' or the number of rows with each label"
        raise InputError(problem, field="calibrate")
    return known
