"""Zero-shot classification: which label's prompts lie closest, without a single example of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset
from jaxtyping import Float
from sentence_transformers import SentenceTransformer

from nearfar.data.labels import in_words
from nearfar.data.media import Medium, medium_in
from nearfar.errors import InputError
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.items import item_vectors
from nearfar.evaluation.result import Result
from nearfar.evaluation.split import label_names
from nearfar.evaluation.tasks.task import Asked
from nearfar.evaluation.ties import among_closest, closest, macro_f1
from nearfar.models.encoding import encode

__all__ = ["TEMPLATES", "check_templates", "label_vectors", "measure_zero_shot"]

SLOT = "{}"
#: What a label is put into where no templates are given.
TEMPLATES: dict[Medium | None, tuple[str, ...]] = {
    "image": ("{}", "a photo of a {}.", "a picture of a {}."),
    "audio": ("{}",),
    None: ("{}",),
}
_TOP = 5


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """See `measure_zero_shot`."""
    how = {"templates": asked.templates, "batch_size": asked.batch_size, "seed": asked.seed}
    return measure_zero_shot(model.host, data, **how)


def measure_zero_shot(
    model: SentenceTransformer,
    rows: Dataset,
    *,
    templates: Sequence[str] | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> Result:
    """Accuracy of taking the label whose prompts are closest by cosine; `per_item` holds 1 for a row told rightly.

    A label is said in words (`order_drink` is `order drink`), put into each template, and stands for the mean of these
    texts' vectors. Pictures and recordings go through the model's tower for them.

    Args:
        model: An encoder; for rows with `image` or `audio` one with two towers.
        rows: `label`, and `image`, `audio` or `text`.
        templates: Texts with {} where the label goes; `TEMPLATES` when None.
        batch_size: Items a forward pass.
        seed: Decides the interval's draws.

    Raises:
        InputError: fewer than two labels, two that are said alike, a template without {}, a model without such a tower.
    """
    medium = medium_in(rows.column_names)
    used = check_templates(templates) if templates is not None else TEMPLATES[medium]
    gold = _labels(rows)
    names = list(dict.fromkeys(gold))
    prompts = label_vectors(model, names, used, batch_size=batch_size)
    items = item_vectors(model, rows, batch_size=batch_size)
    similarity = items @ prompts.T
    place = {name: number for number, name in enumerate(names)}
    wanted = np.array([place[label] for label in gold])
    told = closest(similarity)
    right = told[np.arange(len(gold)), wanted]
    metrics = {
        "accuracy": float(right.mean()),
        "f1": macro_f1(told, wanted),
        "chance": float(np.bincount(wanted).max() / len(wanted)),
    }
    if len(names) > _TOP:
        metrics[f"accuracy@{_TOP}"] = float(among_closest(similarity, wanted, _TOP).mean())
    interval = bootstrap_mean(right, seed=seed) if len(right) > 1 else None
    notes = (f"{len(names)} labels, {len(used)} template{'s' * (len(used) > 1)}; chance: always the commonest label",)
    if tied := int((told.max(1) < 1).sum()):
        notes += (f"for {tied} of {len(gold)} rows several labels are equally close, and each counts in part",)
    return Result(
        "zero-shot", "accuracy", metrics, n=len(gold), per_item={"accuracy": right}, notes=notes, interval=interval
    )


def label_vectors(
    model: SentenceTransformer, labels: Sequence[str], templates: Sequence[str], *, batch_size: int = 64
) -> Float[np.ndarray, "labels d"]:
    """One unit vector a label: the mean over templates, scaled.

    Raises:
        InputError: fewer than two labels, or two that are the same in words.
    """
    if len(labels) < 2:
        raise InputError(f"the rows have {len(labels)} label, and telling apart needs 2", field="label")
    said: dict[str, str] = {}
    for label in labels:
        words = in_words(label) or label
        if said.setdefault(words, label) != label:
            problem = f"the labels {said[words]!r} and {label!r} are both said {words!r}"
            raise InputError(problem, field="label", remedy="rename one of them")
    # Replaced, not formatted: a label may hold braces.
    prompts = [template.replace(SLOT, words) for words in said for template in templates]
    vectors = encode(model, prompts, batch_size=batch_size).reshape(len(labels), len(templates), -1).mean(axis=1)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """Templates as given, or the lines of a file where one is named.

    Raises:
        InputError: none, or one without {}.
    """
    from nearfar.data.files import open_text

    found: list[tuple[str, str | None, int | None]] = []
    for given in templates:
        if SLOT in given or not Path(given).is_file():
            found.append((given, None, None))
            continue
        with open_text(given) as lines:
            found += [(line.rstrip("\r\n"), given, number) for number, line in enumerate(lines, 1) if line.strip()]
    for template, file, line in found:
        if SLOT not in template:
            problem = f"{template!r} has no {SLOT} for the label"
            raise InputError(problem, file=file, line=line, field="templates", remedy='write e.g. "a photo of a {}"')
    if not found:
        raise InputError("there is no template", field="templates", remedy='write e.g. "a photo of a {}"')
    return tuple(template for template, _, _ in found)


def _labels(rows: Dataset) -> list[str]:
    feature: Any = rows.features["label"]
    if isinstance(feature, ClassLabel):
        return [str(feature.int2str(label)) for label in rows["label"][:]]
    return label_names(rows["label"][:])
