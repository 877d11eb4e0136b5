"""Caches of keys and values that can be cropped and copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import DynamicCache


def keeps_all(cache: DynamicCache) -> bool:
    """Whether all layers keep all tokens: no sliding window, no recurrent state."""
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in cache.layers)
