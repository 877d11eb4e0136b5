"""Encodes the columns of a batch with little padding.

A batch of texts is padded to its longest text. If the texts of all columns are sorted by length and divided into chunks
of about equal numbers of tokens, hardly any padding remains; afterwards the vectors are put back in order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers.base.losses.merged_forward import merge_feature_batches
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Features = dict[str, Any]

#: Tokens per chunk: on a CPU to fit into the cache, on a GPU to keep it busy.
CHUNK_TOKENS = {"cpu": 2048, "cuda": 32768}
_asked: ContextVar[Asked | None] = ContextVar("tokens per chunk", default=None)

_TEXT = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}


@dataclass
class Asked:
    """The maximum number of tokens that `chunks_of` asks for, and whether any forward pass has looked for it."""

    tokens: int
    used: bool = False


@dataclass(frozen=True)
class Packed:
    """The columns of a batch, merged and sorted if their type allows it.

    Args:
        features: Batches to encode: one if the columns could be merged, otherwise one per column.
        order: For each of them, row k of the sorted batch is row `order[k]` of the original; None: not sorted.
        columns: Number of columns.
    """

    features: list[Features]
    order: list[Int[Tensor, " rows"] | None]
    columns: int

    @classmethod
    def of(cls, columns: Sequence[Features]) -> Packed:
        """Sort the rows of all columns by length."""
        merged = merge_feature_batches(list(columns)) if len(columns) > 1 and all(map(_is_text, columns)) else None
        batches = list(columns) if merged is None else [merged]
        features, orders = [], []
        for batch in batches:
            order = _by_length(batch) if _is_text(batch) else None
            features.append(batch if order is None else _reordered(batch, order))
            orders.append(order)
        return cls(features, orders, len(columns))

    def unpack(self, vectors: Sequence[Float[Tensor, "rows d"]]) -> list[Float[Tensor, "batch d"]]:
        """The vectors of each original column, from those of each batch in `features`."""
        restored = [
            v if order is None else v[torch.argsort(order)] for v, order in zip(vectors, self.order, strict=True)
        ]
        return list(restored[0].chunk(self.columns)) if len(restored) < self.columns else restored


def embed(model: nn.Module, columns: Sequence[Features], tokens: int | None = None) -> list[Float[Tensor, "batch d"]]:
    """One matrix of vectors for each column. Gradients flow if they are enabled.

    Args:
        model: A SentenceTransformer, or one wrapped for distributed training.
        columns: The features of each column, from the collator.
        tokens: Maximum number of tokens in one forward pass; by default chosen by device.
    """
    packed = Packed.of(columns)
    vectors = [
        model(features)["sentence_embedding"]
        if order is None
        else _in_chunks(model, features, "sentence_embedding", tokens)
        for features, order in zip(packed.features, packed.order, strict=True)
    ]
    return packed.unpack(vectors)


def by_length(model: nn.Module, features: Features, output: str, tokens: int | None = None) -> Float[Tensor, "rows d"]:
    """One output of a model for each row of a batch, computed in order of length. Gradients flow if they are enabled.

    Args:
        model: A model of sentence-transformers, or one wrapped for distributed training.
        features: The batch, on the model's device.
        output: Key of the output.
        tokens: Maximum number of tokens in one forward pass; by default chosen by device.
    """
    if not _is_text(features):
        return model(features)[output]
    order = _by_length(features)
    return _in_chunks(model, _reordered(features, order), output, tokens)[torch.argsort(order)]


def _in_chunks(model: nn.Module, features: Features, output: str, tokens: int | None) -> Float[Tensor, "rows d"]:
    with attention_of_any_shape(features):
        chunks = _chunks(features, tokens or chunk_tokens(features["input_ids"].device))
        return torch.cat([model(chunk)[output] for chunk in chunks])


@contextmanager
def chunks_of(tokens: int) -> Iterator[Asked]:
    """Within it, the default of the maximum number of tokens in one forward pass is this one; 0: that of the device."""
    asked = Asked(tokens)
    before = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(before)


def chunk_tokens(device: torch.device, by_device: Mapping[str, int] = CHUNK_TOKENS) -> int:
    """The default of the maximum number of tokens in one forward pass on this device."""
    default = by_device.get(device.type, by_device["cuda"])
    asked = _asked.get()
    if asked is None:
        return default
    asked.used = True
    return asked.tokens or default


def attention_of_any_shape(features: Features) -> AbstractContextManager[object]:
    """Attention kernels that take chunks of any shape at once.

    cuDNN's attention, which torch prefers on recent GPUs, plans for every new shape: some 70 ms each on an H200, more
    than the chunk itself takes.
    """
    if not any(isinstance(x, Tensor) and x.is_cuda for x in features.values()):
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


def _chunks(features: Features, tokens: int) -> Iterator[Features]:
    """Consecutive rows with at most so many tokens, one row at least, without the padding that they share on the right.

    Padding on the left stays: positions are counted from there.
    """
    mask = features["attention_mask"].bool()
    upto = mask.sum(1).cumsum(0).tolist()
    last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).amax(1).tolist()
    begin = 0
    while begin < len(upto):
        before = upto[begin - 1] if begin else 0
        end = max(begin + 1, bisect_right(upto, before + tokens))
        width = max(last[begin:end]) or mask.shape[1]
        cut = {k: v[begin:end, :width] for k, v in features.items() if isinstance(v, Tensor) and k in _TEXT}
        yield features | cut
        begin = end


def _is_text(features: Features) -> bool:
    """Whether only padded token ids have rows, so that rows can be reordered and divided."""
    mask = features.get("attention_mask")
    tensors = {key for key, value in features.items() if isinstance(value, Tensor) and key != "prompt_length"}
    return isinstance(mask, Tensor) and mask.ndim == 2 and tensors <= _TEXT


def _by_length(features: Features) -> Tensor:
    return torch.argsort(features["attention_mask"].sum(1), descending=True, stable=True)


def _reordered(features: Features, order: Tensor) -> Features:
    return {k: v[order] if isinstance(v, Tensor) and k in _TEXT else v for k, v in features.items()}
