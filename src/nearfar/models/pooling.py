"""The pooling of a model, without the normalisation that may follow."""

from __future__ import annotations

from typing import Any, Literal

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from nearfar.errors import InputError

PoolingChoice = Literal["own", "cls", "mean", "max", "last"]
#: As sentence-transformers calls them, where that differs.
_MODES = {"last": "lasttoken"}


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
    wanted: Any = _MODES.get(mode, mode)
    return own if mode == "own" else Pooling(own.embedding_dimension, wanted, own.include_prompt)


def set_pooling(model: SentenceTransformer, mode: PoolingChoice) -> None:
    """Change the model's pooling permanently: it is saved with the model.

    Raises:
        InputError: See `pooling_of`.
    """
    wanted = pooling_of(model, mode)
    if wanted.pooling_mode != pooling_of(model).pooling_mode:
        model[1] = wanted
