"""Captions: does the model write what people wrote about an image?"""

from __future__ import annotations

import random
import re
from importlib.util import find_spec
from typing import Any

import numpy as np
from datasets import Dataset

from nearfar.data.media import undecoded
from nearfar.errors import InputError
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.models.abilities import Describes

__all__ = ["measure", "scores"]

#: Most tokens of a caption.
MOST_TOKENS = 32


def measure(model: Describes, data: Dataset, asked: Asked) -> Result:
    """CIDEr (primary) and BLEU-4 of greedy captions, against all texts of an image in the data.

    CIDEr (Vedantam, Zitnick, Parikh 2015) is the mean over images, so that `per_item` has one for each; BLEU
    (Papineni et al. 2002) is of all captions together. Both are computed by pycocoevalcap on words in lower case
    without punctuation; the reference separates words with a Java program, so that figures differ a little.

    Args:
        model: A model that reads images.
        data: Columns `image` (rows with the same path are of one image) and `text`.
        asked: How to evaluate. `shots` images with a text each stand before the image; they are drawn from the other
            images, with the seed.

    Raises:
        InputError: pycocoevalcap is not installed, there are fewer than two images, or too few for the examples.
    """
    if find_spec("pycocoevalcap") is None:
        problem = "the task 'captions' requires the package pycocoevalcap"
        raise InputError(problem, field="task", remedy="pip install 'nearfar[captions]'")
    images, references = _by_image(data)
    if len(images) < 2 + asked.shots:
        raise InputError(f"expected at least {2 + asked.shots} different images, got {len(images)}", field="image")
    generator = random.Random(asked.seed)
    prompts: list[list[dict[str, Any]]] = []
    for number, image in enumerate(images):
        others = [row for row in range(len(images)) if row != number]
        examples = generator.sample(others, asked.shots)
        parts = [part for row in examples for part in ({"image": images[row]}, {"text": references[row][0]})]
        prompts.append([*parts, {"image": image}])
    found: list[str] = []
    for start in range(0, len(prompts), asked.batch_size):
        part = prompts[start : start + asked.batch_size]
        found += model.describe(part, max_new_tokens=MOST_TOKENS, batch_size=asked.batch_size)
        if asked.progress is not None:
            asked.progress(len(found), len(prompts))
    cider, bleu = scores(found, references)
    return Result(
        "captions",
        "cider",
        {"cider": float(cider.mean()), "bleu4": bleu},
        n=len(images),
        per_item={"cider": cider},
        notes=(f"{len(data)} texts about {len(images)} images",),
        interval=bootstrap_mean(cider, seed=asked.seed),
    )


def scores(captions: list[str], references: list[list[str]]) -> tuple[Any, float]:
    """CIDEr of each caption, and BLEU-4 of all.

    Args:
        captions: One text for each image.
        references: The texts that people wrote about it.
    """
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider

    written = {number: [_words(text)] for number, text in enumerate(captions)}
    wanted = {number: [_words(text) for text in texts] for number, texts in enumerate(references)}
    _, cider = Cider().compute_score(wanted, written)
    (_, _, _, bleu), _ = Bleu(4).compute_score(wanted, written, verbose=0)
    return np.asarray(cider, float), float(bleu)


def _by_image(data: Dataset) -> tuple[list[Any], list[list[str]]]:
    """Each image, and its texts. Images from the Hub, which have no path, are of one row each."""
    known: dict[Any, int] = {}
    images: list[Any] = []
    texts: list[list[str]] = []
    for row, (image, text) in enumerate(zip(undecoded(data, "image")["image"][:], data["text"], strict=True)):
        number = known.setdefault(image if isinstance(image, str) else row, len(images))
        if number == len(images):
            images.append(image)
            texts.append([])
        texts[number].append(text)
    return images, texts


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.lower()))
