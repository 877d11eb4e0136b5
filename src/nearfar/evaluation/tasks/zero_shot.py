"""Zero-shot classification: choose the label with the closest prompts, without any examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset
from jaxtyping import Float

from nearfar.data.labels import in_words
from nearfar.data.media import Medium, medium_in
from nearfar.errors import InputError
from nearfar.evaluation.chance import of_labels
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.items import item_vectors
from nearfar.evaluation.result import Result
from nearfar.evaluation.split import label_names
from nearfar.evaluation.tasks.task import Asked
from nearfar.evaluation.ties import among_closest, closest, macro_f1
from nearfar.models.encoding import encode

__all__ = ["TEMPLATES", "check_templates", "label_vectors", "measure_zero_shot"]

SLOT = "{}"
#: Templates for labels, if none are given.
TEMPLATES: dict[Medium | None, tuple[str, ...]] = {
    "image": ("{}", "a photo of a {}.", "a picture of a {}."),
    "audio": ("{}",),
    None: ("{}",),
}
_TOP = 5


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """See `measure_zero_shot`."""
    how = {"templates": asked.templates, "batch_size": asked.batch_size, "seed": asked.seed}
    return measure_zero_shot(model, data, **how)


def measure_zero_shot(
    model: Any,
    rows: Dataset,
    *,
    templates: Sequence[str] | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> Result:
    """Accuracy of choosing the label whose prompts are closest by cosine; `per_item` is 1 for a correct row.

    A label is written in words (`order_drink` becomes `order drink`) and inserted into each template; its vector is the
    mean of the vectors of these texts. Images and audio are encoded by the model's other tower.

    Args:
        model: An encoder; one with two towers for rows with `image` or `audio`.
        rows: `label`, and `image`, `audio` or `text`.
        templates: Texts with {} for the label; by default `TEMPLATES`.
        batch_size: Batch size.
        seed: Random seed of the interval's resampling.

    Raises:
        InputError: There are fewer than two labels, two are the same in words, a template has no {}, or the model has
            no such tower.
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
    chance = of_labels(wanted.tolist(), len(names))
    metrics = {"accuracy": float(right.mean()), "f1": macro_f1(told, wanted), "chance": chance.high}
    if len(names) > _TOP:
        metrics[f"accuracy@{_TOP}"] = float(among_closest(similarity, wanted, _TOP).mean())
    interval = bootstrap_mean(right, seed=seed) if len(right) > 1 else None
    notes = (
        f"{len(names)} labels, {len(used)} template{'s' * (len(used) > 1)}; chance: always the most frequent label",
    )
    if tied := int((told.max(1) < 1).sum()):
        notes += (f"for {tied} of {len(gold)} rows several labels are equally close; each counts in part",)
    return Result(
        "zero-shot",
        "accuracy",
        metrics,
        n=len(gold),
        per_item={"accuracy": right},
        notes=notes,
        interval=interval,
        chance=chance,
    )


def label_vectors(
    model: Any, labels: Sequence[str], templates: Sequence[str], *, batch_size: int = 64
) -> Float[np.ndarray, "labels d"]:
    """One unit vector per label: the normalised mean over templates.

    Raises:
        InputError: There are fewer than two labels, or two that are the same in words.
    """
    if len(labels) < 2:
        raise InputError(f"expected at least 2 labels, got {len(labels)}", field="label")
    said: dict[str, str] = {}
    for label in labels:
        words = in_words(label) or label
        if said.setdefault(words, label) != label:
            problem = f"the labels {said[words]!r} and {label!r} both become {words!r}"
            raise InputError(problem, field="label", remedy="rename one of them")
    # `replace`, not `format`: a label may contain braces.
    prompts = [template.replace(SLOT, words) for words in said for template in templates]
    vectors = encode(model, prompts, batch_size=batch_size)
    vectors = vectors.reshape(len(labels), len(templates), -1).mean(axis=1)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """The given templates; a file name is replaced by the lines of the file.

    Raises:
        InputError: There are no templates, or one has no {}.
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
            problem = f"{template!r} contains no {SLOT} for the label"
            raise InputError(problem, file=file, line=line, field="templates", remedy='use e.g. "a photo of a {}"')
    if not found:
        raise InputError(
            "expected at least one template, got none", field="templates", remedy='use e.g. "a photo of a {}"'
        )
    return tuple(template for template, _, _ in found)


def _labels(rows: Dataset) -> list[str]:
    feature: Any = rows.features["label"]
    if isinstance(feature, ClassLabel):
        return [str(feature.int2str(label)) for label in rows["label"][:]]
    return label_names(rows["label"][:])
