"""How a model makes one vector of its tokens, apart from what follows: vectors before they are scaled to length 1."""

from __future__ import annotations

from typing import Literal

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from nearfar.errors import InputError

PoolingChoice = Literal["own", "cls", "mean", "max"]


def pooling_of(model: SentenceTransformer, mode: PoolingChoice = "own") -> Pooling:
    """The pooling of a model, or one over the same tokens in another mode.

    The model's backbone and this alone give vectors of the length they have, whether or not the model ends by
    scaling them to length 1. No pooling reads the `pooler` layer that some backbones have.

    Raises:
        InputError: the model is not made of a transformer, a pooling and at most a scaling to length 1.
    """
    modules = list(model)
    if (
        len(modules) < 2
        or not isinstance(modules[0], Transformer)
        or not isinstance(modules[1], Pooling)
        or not all(isinstance(module, Normalize) for module in modules[2:])
    ):
        raise InputError(
            f"the model is made of {', '.join(type(module).__name__ for module in modules)}, "
            "not of a transformer and a pooling",
            field="--model",
            remedy="take a transformers encoder or a model without layers after its pooling",
        )
    own = modules[1]
    return own if mode == "own" else Pooling(own.embedding_dimension, mode, own.include_prompt)


def set_pooling(model: SentenceTransformer, mode: PoolingChoice) -> None:
    """Change how the model pools, for good: it is saved so.

    Raises:
        InputError: see `pooling_of`.
    """
    model[1] = pooling_of(model, mode)
