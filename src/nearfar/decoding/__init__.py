"""Writing text with a causal language model."""

from nearfar.decoding.contrastive import contrastive_search

__all__ = ["contrastive_search"]
