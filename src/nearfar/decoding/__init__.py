"""Writing text with a causal language model, and measuring what was written.

`methods` holds the ways of decoding that `nearfar generate` knows, one file each.
"""

from nearfar.decoding.contrastive import contrastive_search
from nearfar.decoding.layers import isotropy
from nearfar.decoding.measures import coherence, diversity, repetition

__all__ = ["coherence", "contrastive_search", "diversity", "isotropy", "repetition"]
