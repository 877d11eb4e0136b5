"""The blocks (layers) of a language model of transformers."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["blocks_of", "number_of_layers"]


def number_of_layers(model: Any) -> int:
    """The number of layers (blocks) of a causal language model of transformers."""
    return int(model.config.get_text_config(decoder=True).num_hidden_layers)


def blocks_of(model: Any) -> nn.ModuleList | None:
    """The blocks of a causal language model, in order; None if they cannot be found."""
    count = number_of_layers(model)
    lists = (each for each in model.get_decoder().children() if isinstance(each, nn.ModuleList))
    return next((each for each in lists if len(each) == count), None)
