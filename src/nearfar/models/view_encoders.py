"""Builds models with views from text encoders, and from towers for images or audio."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["encoder_with_views"]


def encoder_with_views(
    name: str | Path | SentenceTransformer | None,
    reads: Literal["text", "image", "audio"],
    views: Sequence[str],
    *,
    shared: bool = False,
    dims: int = 0,
    image_size: int = 64,
    seconds: int = 4,
) -> tuple[SentenceTransformer, bool]:
    """A model whose views begin with the same encoder, which must be trained to make them differ.

    Args:
        name: An encoder of `reads`: a folder, a Hub ID, a model in memory, or for images and audio the name of a small
            tower. None: `minilm` for texts, the first small tower for others.
        reads: What the model encodes.
        views: Names of the views, the default view first.
        shared: All views use one encoder, and differ only in their linear layers; otherwise each has its own.
        dims: Dimensions of a new linear layer at the end of each view; 0: no layer.
        image_size, seconds: Options of the small towers.

    Returns:
        The model, and whether its encoders are pretrained.

    Raises:
        InputError: There is no such model, or it encodes something else.
    """
    from nearfar.models.loading import load
    from nearfar.models.towers import SMALL
    from nearfar.models.towers.named import media_tower, text_tower
    from nearfar.models.towers.texts import project
    from nearfar.models.views import with_views

    base: Any = name
    if reads == "text" and (name is None or isinstance(name, (str, Path))):
        base = load(name or "minilm")
    elif name is None and reads != "text":
        base = next(iter(SMALL[reads]))
    new = reads != "text" and base in SMALL[reads]

    def tower() -> list[Any]:
        if reads == "text":
            return text_tower(base)
        return media_tower(base, reads, image_size=image_size, seconds=seconds)

    first = tower()
    others = [first if shared else tower() if new else copy.deepcopy(first) for _ in views[1:]]
    settings = None if isinstance(base, (str, Path)) else base
    model = with_views(dict(zip(views, [first, *others], strict=True)), settings)
    if dims:
        project(model, dims)
    return model, not new
