"""Two towers in one model: texts through one, pictures or recordings through the other, into one space."""

from __future__ import annotations

from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal

from nearfar.data.media import MEDIA, Medium
from nearfar.errors import InputError
from nearfar.models.routes import medium_of, router_of
from nearfar.models.towers.named import media_tower, text_tower

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

__all__ = ["MEDIA", "Medium", "add_tower", "freeze", "medium_of", "router_of", "two_towers"]


def two_towers(
    text: str | Path | SentenceTransformer = "minilm",
    *,
    image: str | Path | SentenceTransformer | None = None,
    audio: str | Path | SentenceTransformer | None = None,
    dims: int | None = None,
    frozen: Literal["text", "image", "audio"] | None = None,
    image_size: int = 64,
    seconds: int = 4,
    device: str | None = None,
) -> SentenceTransformer:
    """One SentenceTransformer with a tower for texts and one for pictures or recordings.

    Its first module is a `Router` with the routes `text` and `image` or `audio`, its second scales to length 1. It
    trains, saves and loads as any other: `SentenceTransformer(folder)` needs nothing of nearfar. A linear layer stands
    at the end of each tower whose vectors do not have `dims` numbers; the frozen tower never gets one.

    Args:
        text: A text encoder: a folder, a hub id, an alias, or a model in memory, whose modules are used, not copied.
        image: A vision model by folder or hub id, or `small-cnn`, `small-vit`, which begin untrained.
        audio: Likewise for recordings; `small-audio` begins untrained. One of `image` and `audio` is given.
        dims: Length of the vectors; the frozen tower's, else the text tower's, when None.
        frozen: The tower that is not to change, see `freeze`.
        image_size: Pixels a side, of the small image towers.
        seconds: How much of a recording `small-audio` hears.
        device: Where it runs; sentence-transformers chooses when None.

    Raises:
        InputError: a tower that cannot be loaded or reads something else, or dims that a frozen tower does not have.

    Example:
        >>> model = two_towers("minilm", image="small-cnn", frozen="text")  # doctest: +SKIP
        >>> model.encode(["a red car"], task="text") @ model.encode([picture], task="image").T  # doctest: +SKIP
    """
    from sentence_transformers import SentenceTransformer

    if (image is None) == (audio is None):
        problem = "a model has two towers" if image is None else "a model has two towers, and three are given"
        raise InputError(problem, field="image_model", remedy="give an image or an audio model beside the text model")
    medium: Medium = "image" if image is not None else "audio"
    other = media_tower(image or audio or "", medium, image_size=image_size, seconds=seconds)
    modules = _joined(text_tower(text), other, medium, frozen, dims)
    model = SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")
    if frozen is not None:
        freeze(model, frozen)
    return model.eval()


def add_tower(
    model: SentenceTransformer,
    medium: Medium,
    tower: str | Path | SentenceTransformer,
    *,
    dims: int | None = None,
    frozen: str | None = None,
    image_size: int = 64,
    seconds: int = 4,
) -> None:
    """Give a text encoder, in place, a tower for pictures or recordings. Arguments as of `two_towers`.

    Raises:
        InputError: the model has several towers already, or see `two_towers`.
    """
    from sentence_transformers.base.modules import Router

    if isinstance(next(iter(model), None), Router):
        raise InputError("it has several towers already", field="model", remedy="give a text encoder")
    other = media_tower(tower, medium, image_size=image_size, seconds=seconds)
    joined, device = _joined(text_tower(model), other, medium, frozen, dims), model.device
    for name in list(model._modules):
        del model._modules[name]
    for place, module in enumerate(joined):
        model.add_module(str(place), module.to(device))
    if frozen is not None:
        freeze(model, frozen)


def freeze(model: SentenceTransformer, tower: str) -> None:
    """Keep a tower as it is: no gradient reaches it, and it stays in evaluation mode while the model trains.

    Nothing is recorded for a backward pass there. Saving forgets it: a loaded model is frozen again by its trainer.

    Raises:
        InputError: the model has no such tower.
    """
    routes = router_of(model).sub_modules
    if tower not in routes:
        problem = f"the model has no {tower!r} tower"
        raise InputError(problem, field="frozen", remedy=f"choose from {', '.join(routes)}")
    modules: Any = routes[tower].requires_grad_(False).eval()
    modules.train = MethodType(_stay, modules)


def _stay(self: nn.Module, mode: bool = True) -> nn.Module:
    """`train` of a frozen tower: dropout stays off and batch statistics stay what they were."""
    return self


def _joined(text: list[Any], other: list[Any], medium: Medium, frozen: str | None, dims: int | None) -> list[Any]:
    """The modules of a model with two towers, of equal width."""
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sentence_transformer.modules import Normalize

    towers = {"text": text, medium: other}
    if frozen is not None and frozen not in towers:
        raise InputError(f"there is no {frozen!r} tower to freeze", field="frozen", remedy=f"use text or {medium}")
    _agree_on_length(text[0], other[0])
    width = _width(towers[frozen or "text"]) if dims is None else dims
    if width < 1:
        raise InputError(f"vectors of {width} numbers", field="dims", remedy="use 1 or more")
    for name, modules in towers.items():
        if _width(modules) == width:
            continue
        if name == frozen:
            problem = f"the frozen {name} tower gives {_width(modules)} numbers, not {width}"
            raise InputError(problem, field="dims", remedy="leave dims out, or freeze nothing")
        modules.append(_projection(_width(modules), width))
    return [Router(towers, default_route="text"), Normalize()]


def _agree_on_length(text: Any, other: Any) -> None:
    """A speech model may have a tokenizer, for what it writes; a model has one limit, and here it is that of texts."""
    if getattr(other, "tokenizer", None) is not None and getattr(text, "max_seq_length", None):
        other.max_seq_length = text.max_seq_length


def _width(modules: list[Any]) -> int:
    for module in reversed(modules):
        width = getattr(module, "get_embedding_dimension", lambda: None)()
        if width:
            return int(width)
    raise InputError(f"a {type(modules[-1]).__name__} does not say how long its vectors are", field="model")


def _projection(width: int, dims: int) -> Any:
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense

    return Dense(width, dims, bias=False, activation_function=torch.nn.Identity())
