"""Two towers of texts in one model: one for a pair's first text, one for its second."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["SIDES", "align_second", "has_text_towers", "part_towers", "project"]

#: Routes of the two towers: of an anchor and of what belongs to it, as sentence-transformers calls them.
SIDES = ("query", "document")


def has_text_towers(model: SentenceTransformer) -> bool:
    """Whether queries and documents go through towers of their own."""
    return set(SIDES) <= set(_routes(model))


def part_towers(model: SentenceTransformer, second: str | Path | SentenceTransformer | None = None) -> None:
    """Give a text encoder, in place, a second tower: `encode_query` goes through its own, `encode_document` the other.

    It trains, saves and loads as any other model of sentence-transformers.

    Args:
        model: A text encoder with one tower.
        second: The other tower, in memory or by name; a copy of the first, which shares no weights with it, when None.

    Raises:
        InputError: one of them has several towers already, or there is no model of that name.
    """
    from sentence_transformers.base.modules import Router

    from nearfar.models.loading import load

    if isinstance(second, (str, Path)):
        second = load(second, device=str(model.device))
    if _routes(model) or (second is not None and _routes(second)):
        raise InputError("it has several towers already", field="model", remedy="give a model of a single tower")
    first: list[Any] = list(model)
    other: list[Any] = list(copy.deepcopy(model) if second is None else second.to(model.device))
    for name in list(model._modules):
        del model._modules[name]
    model.add_module("0", Router.for_query_document(first, other))


def project(model: SentenceTransformer, dims: int) -> None:
    """End each tower, in place, in a fresh linear layer without bias that makes vectors of `dims` numbers.

    Raises:
        InputError: fewer than one.
    """
    if dims < 1:
        raise InputError(f"vectors of {dims} numbers", field="dims", remedy="use 1 or more")
    routes = _routes(model)
    for modules in routes.values() if routes else [model]:
        _project(modules, dims, model.device)


def align_second(model: SentenceTransformer, texts: Sequence[Any]) -> None:
    """End the second tower, in place, in the fixed rotation that brings it closest to the first one on these texts.

    Args:
        model: A model with two towers, see `part_towers`.
        texts: What both towers read.

    Raises:
        InputError: the model has one tower for texts, or the towers give vectors of different lengths.
    """
    import torch

    from nearfar.models.encoding import encode
    from nearfar.models.rotation import fixed_rotation, procrustes

    if not has_text_towers(model):
        raise InputError("there is no second tower to turn", field="aligned", remedy="set towers=two, and give texts")
    first, other = (torch.from_numpy(encode(model, texts, kind=kind)) for kind in SIDES)
    if first.shape != other.shape:
        problem = f"the towers give vectors of {first.shape[1]} and {other.shape[1]} numbers"
        raise InputError(problem, field="dims", remedy="say how many both are to give")
    _routes(model)[SIDES[1]].append(fixed_rotation(procrustes(first, other)).to(model.device))


def _project(modules: Any, dims: int, device: Any) -> None:
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    found = list(modules)
    at = len(found) - isinstance(found[-1], Normalize)
    width = next(w for m in reversed(found[:at]) if (w := getattr(m, "get_embedding_dimension", lambda: None)()))
    layer = Dense(width, dims, bias=False, activation_function=torch.nn.Identity()).to(device)
    # A sequence of modules is known by their numbers.
    for number, module in enumerate([layer, *found[at:]], at):
        modules.add_module(str(number), module)


def _routes(model: SentenceTransformer) -> dict[str, Any]:
    from sentence_transformers.base.modules import Router

    first = next(iter(model), None)
    return dict(first.sub_modules.items()) if isinstance(first, Router) else {}
