"""Generating text with a causal language model, and measuring it.

`methods` contains the decoding methods of `nearfar generate`, one file each.
"""

from nearfar.decoding.contrastive import contrastive_search
from nearfar.decoding.layers import isotropy
from nearfar.decoding.measures import coherence, diversity, repetition

__all__ = ["coherence", "contrastive_search", "diversity", "isotropy", "repetition"]
