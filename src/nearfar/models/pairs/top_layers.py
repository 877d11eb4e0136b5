"""Sentence vectors from several top layers of an encoder, independent of its own pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from sentence_transformers import SentenceTransformer

    from nearfar.models.packing import Features


def mean_side_by_side(
    hidden: Sequence[Float[Tensor, "b t h"]], counted: Bool[Tensor, "b t"]
) -> Float[Tensor, "b layers*h"]:
    """The mean over the counted tokens in each layer, with the layers concatenated."""
    weights = counted / counted.sum(1, keepdim=True).clamp(min=1)
    return torch.cat([torch.einsum("bt,bth->bh", weights.to(layer.dtype), layer) for layer in hidden], 1)


def content_tokens(features: Features, cls: int | None) -> Bool[Tensor, "b t"]:
    """Tokens that are neither padding nor the token with id `cls`, such as [CLS]; [SEP] counts."""
    real = features["attention_mask"].bool()
    return real if cls is None else real & (features["input_ids"] != cls)


class TopLayers(nn.Module):
    """One vector per text from the top `layers` layers of a model: the mean over all tokens except [CLS].

    Like the model, it returns `sentence_embedding`, so it works with `nearfar.models.packing.embed`. The model itself
    is not changed.

    Args:
        model: A SentenceTransformer, or one wrapped for distributed training.
        layers: Number of layers, counted from the top.
    """

    def __init__(self, model: nn.Module, layers: int) -> None:
        super().__init__()
        self.model, self.layers = model, layers
        encoder: Any = getattr(model, "module", model)
        self.config = encoder[0].model.config
        self.cls = encoder.tokenizer.cls_token_id

    def forward(self, features: Features) -> dict[str, Float[Tensor, "b layers*h"]]:
        """The vectors of a batch."""
        counted = content_tokens(features, self.cls)
        with _all_layers(self.config):
            hidden = self.model(features)["all_layer_embeddings"]
        return {"sentence_embedding": mean_side_by_side(hidden[-self.layers :], counted)}


def reader(model: Any, layers: int) -> nn.Module:
    """What gives the vectors of a pair head: `TopLayers`, or with no layers the encoder itself."""
    return TopLayers(model, layers) if layers else model


def width(model: SentenceTransformer, layers: int) -> int:
    """The number of dimensions of the vectors of `reader`.

    Raises:
        InputError: The model is not a transformer, or has fewer layers.
    """
    if not layers:
        return int(model.get_embedding_dimension() or 0)
    config = getattr(getattr(model[0], "model", None), "config", None)
    has, each = getattr(config, "num_hidden_layers", None), getattr(config, "hidden_size", None)
    if not isinstance(has, int) or not isinstance(each, int):
        raise InputError("the model has no transformer layers", field="--model", remedy="use a model such as BERT")
    if not 1 <= layers <= has:
        raise InputError(
            f"invalid number of layers {layers}: the model has {has}", field="layers", remedy=f"use 1 to {has}"
        )
    return layers * each


@contextmanager
def _all_layers(config: Any) -> Iterator[None]:
    """Request the hidden states of every layer, without changing the saved configuration."""
    before, config.output_hidden_states = config.output_hidden_states, True
    try:
        yield
    finally:
        config.output_hidden_states = before
