"""Models with two towers for texts: one for the first text of a pair, one for the second."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["SIDES", "align_second", "has_text_towers", "project", "set_text_towers", "split_towers"]

#: Most texts from which a rotation is computed.
ALIGNED_ON = 2_048

#: Routes of the two towers, for an anchor and for its positive, with the names of sentence-transformers.
SIDES = ("query", "document")


def has_text_towers(model: SentenceTransformer) -> bool:
    """Whether queries and documents have separate towers."""
    return set(SIDES) <= set(_routes(model))


def set_text_towers(
    model: SentenceTransformer, towers: Literal["shared", "two"], second: str | Path | SentenceTransformer | None = None
) -> None:
    """Give a text encoder a second tower if it should have two and has one, in place; see `split_towers`.

    Raises:
        InputError: A second tower is named where one is shared.
    """
    if towers == "shared" and second is not None:
        problem = "expected towers=two, got one shared tower"
        raise InputError(problem, field="second_model", remedy="set towers=two, or remove second_model")
    if towers == "two" and not has_text_towers(model):
        split_towers(model, second)


def split_towers(model: SentenceTransformer, second: str | Path | SentenceTransformer | None = None) -> None:
    """Give a text encoder a second tower, in place: `encode_query` uses the first one, `encode_document` the second.

    It can be trained, saved and loaded like any sentence-transformers model.

    Args:
        model: A text encoder with one tower.
        second: The second tower, in memory or by name; by default a copy of the first, without shared weights.

    Raises:
        InputError: One of them already has several towers, or there is no model of that name.
    """
    from sentence_transformers.base.modules import Router

    from nearfar.models.loading import load

    if isinstance(second, (str, Path)):
        second = load(second, device=str(model.device))
    if _routes(model) or (second is not None and _routes(second)):
        raise InputError(
            "the model already has several towers", field="model", remedy="use a model with a single tower"
        )
    first: list[Any] = list(model)
    other: list[Any] = list(copy.deepcopy(model) if second is None else second.to(model.device))
    for name in list(model._modules):
        del model._modules[name]
    model.add_module("0", Router.for_query_document(first, other))


def project(model: SentenceTransformer, dims: int) -> None:
    """Add a new linear layer without bias to each tower, in place, for `dims`-dimensional vectors.

    Raises:
        InputError: `dims` is less than 1.
    """
    if dims < 1:
        raise InputError(f"invalid value {dims}", field="dims", remedy="use at least 1")
    routes = _routes(model)
    for modules in routes.values() if routes else [model]:
        _project(modules, dims, model.device)


def align_second(model: SentenceTransformer, texts: Sequence[Any]) -> None:
    """Add a fixed rotation to the second tower, in place, that aligns it with the first tower on these texts.

    Args:
        model: A model with two towers, see `split_towers`.
        texts: Texts that both towers encode; the first `ALIGNED_ON` of them are used.

    Raises:
        InputError: The model has only one tower for texts, or the towers have different numbers of dimensions.
    """
    import torch

    from nearfar.models.encoding import encode
    from nearfar.models.rotation import fixed_rotation, procrustes

    if not has_text_towers(model):
        raise InputError("requires a second tower for texts", field="aligned", remedy="set towers=two, and use texts")
    first, other = (torch.from_numpy(encode(model, texts[:ALIGNED_ON], kind=kind)) for kind in SIDES)
    if first.shape != other.shape:
        problem = f"expected towers with equal dimensions, got {first.shape[1]} and {other.shape[1]}"
        raise InputError(problem, field="dims", remedy="set dims for both")
    _routes(model)[SIDES[1]].append(fixed_rotation(procrustes(first, other)).to(model.device))


def _project(modules: Any, dims: int, device: Any) -> None:
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    found = list(modules)
    at = len(found) - isinstance(found[-1], Normalize)
    width = next(w for m in reversed(found[:at]) if (w := getattr(m, "get_embedding_dimension", lambda: None)()))
    layer = Dense(width, dims, bias=False, activation_function=torch.nn.Identity()).to(device)
    # The modules of a sequence are named by their numbers.
    for number, module in enumerate([layer, *found[at:]], at):
        modules.add_module(str(number), module)


def _routes(model: SentenceTransformer) -> dict[str, Any]:
    from sentence_transformers.base.modules import Router

    first = next(iter(model), None)
    return dict(first.sub_modules.items()) if isinstance(first, Router) else {}
