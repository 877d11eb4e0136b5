"""Which image a token may look at, and which tokens of a document are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Int
    from torch import Tensor

__all__ = ["IMAGE", "images_before", "predicted", "visible"]

#: Stands for an image among the tokens of a document. It is no token of the vocabulary, so no text can contain it.
IMAGE = -1


def images_before(tokens: Int[Tensor, "b t"]) -> Int[Tensor, "b t"]:
    """The number of images up to each token; an image counts for its own place."""
    return (tokens == IMAGE).long().cumsum(1)


def visible(
    images: Int[Tensor, "b t"], exist: Bool[Tensor, "b n"], *, latest_only: bool = True
) -> Bool[Tensor, "b t n"]:
    """Whether each token may look at each image of its document.

    Args:
        images: See `images_before`.
        exist: Which of the n places of a document have an image.
        latest_only: A token sees only the latest image before it; otherwise, all images before it. Never later ones.
    """
    numbers = torch.arange(1, exist.shape[1] + 1, device=images.device)
    before = images[..., None]
    seen = (before == numbers) if latest_only else (before >= numbers)
    return seen & exist[:, None]


def predicted(tokens: Sequence[int], end: int | None) -> list[bool]:
    """Whether a language model learns to predict each token of a document: only what belongs to an image.

    From an image to the next `end` of a piece of text, which is predicted too. Neither images nor what comes before the
    first one, or between an `end` and the next image, are predicted.
    """
    found, active = [], False
    for token in tokens:
        active = active or token == IMAGE
        found.append(active and token != IMAGE)
        active = active and token != end
    return found
