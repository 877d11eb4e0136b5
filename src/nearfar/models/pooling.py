"""The pooling of a model, without the normalisation that may follow."""

from __future__ import annotations

from typing import Literal

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from nearfar.errors import InputError

PoolingChoice = Literal["own", "cls", "mean", "max"]


def pooling_of(model: SentenceTransformer, mode: PoolingChoice = "own") -> Pooling:
    """The pooling of a model, or a pooling of the same tokens in another mode.

    The backbone and this pooling give vectors that are not normalised, even if the model ends with `Normalize`. No
    pooling uses the `pooler` layer that some backbones have.

    Raises:
        InputError: The model does not consist of a transformer, a pooling and optionally `Normalize`.
    """
    modules = list(model)
    if (
        len(modules) < 2
        or not isinstance(modules[0], Transformer)
        or not isinstance(modules[1], Pooling)
        or not all(isinstance(module, Normalize) for module in modules[2:])
    ):
        raise InputError(
            "expected a model with a transformer and a pooling, got "
            f"{', '.join(type(module).__name__ for module in modules)}",
            field="--model",
            remedy="use a transformers encoder or a model without layers after its pooling",
        )
    own = modules[1]
    return own if mode == "own" else Pooling(own.embedding_dimension, mode, own.include_prompt)


def set_pooling(model: SentenceTransformer, mode: PoolingChoice) -> None:
    """Change the model's pooling permanently: it is saved with the model.

    Raises:
        InputError: See `pooling_of`.
    """
    model[1] = pooling_of(model, mode)
