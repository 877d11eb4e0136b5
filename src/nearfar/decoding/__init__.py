"""Generating text with a causal language model, and measuring it.

`methods` contains the decoding methods of `nearfar generate`, one file each.
"""

from nearfar.decoding.contrastive import contrastive_search
from nearfar.decoding.contrastive_decoding import contrastive_decoding
from nearfar.decoding.layer_contrast import LayerContrast, contrasted
from nearfar.decoding.layers import isotropy
from nearfar.decoding.measures import coherence, diversity, repetition

__all__ = [
    "LayerContrast",
    "coherence",
    "contrasted",
    "contrastive_decoding",
    "contrastive_search",
    "diversity",
    "isotropy",
    "repetition",
]
