"""What a model encodes: texts, images or audio, or several of them by the routes of its first module, a `Router`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.data.media import MEDIA, Medium
from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

__all__ = ["medium_of", "only_medium", "router_of"]


def router_of(model: SentenceTransformer) -> Router:
    """The module that selects a model's tower.

    Raises:
        InputError: The model has only one tower.
    """
    from sentence_transformers.base.modules import Router

    first = next(iter(model), None)
    if isinstance(first, Router) and "text" in first.sub_modules:
        return first
    raise InputError("the model has only a tower for texts", field="model", remedy="use a model with two towers")


def medium_of(model: SentenceTransformer) -> Medium | None:
    """The medium that a model encodes besides texts; None if there is none."""
    from sentence_transformers.base.modules import Router

    first = next(iter(model), None)
    routes = first.sub_modules if isinstance(first, Router) and "text" in first.sub_modules else {}
    return next((medium for medium in MEDIA if medium in routes), None)


def only_medium(model: SentenceTransformer) -> Medium | None:
    """The medium of a model that encodes images or audio and no texts; None for all other models."""
    reads = getattr(next(iter(model), None), "modalities", ["text"])
    return None if "text" in reads else next((medium for medium in MEDIA if medium in reads), None)
