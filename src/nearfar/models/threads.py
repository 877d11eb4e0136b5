"""Threads for models whose batches are too small for several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["few_threads"]

_PARALLELISM = "TOKENIZERS_PARALLELISM"


@contextmanager
def few_threads(model: SentenceTransformer) -> Iterator[None]:
    """One thread for a model of token vectors without layers of attention.

    Its batches take about a millisecond. Threads that wait for each other take longer than that on a busy machine: ten
    times the CPU time on two cores.
    """
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    if not isinstance(next(iter(model.children()), None), StaticEmbedding):
        yield
        return
    before, stated = torch.get_num_threads(), os.environ.get(_PARALLELISM)
    torch.set_num_threads(1)
    os.environ[_PARALLELISM] = "false"
    try:
        yield
    finally:
        torch.set_num_threads(before)
        del os.environ[_PARALLELISM]
        if stated is not None:
            os.environ[_PARALLELISM] = stated
