"""Builds models with two towers: one encodes texts, the other images or audio, into one space."""

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
    """A SentenceTransformer with a tower for texts and one for images or audio.

    Its first module is a `Router` with the routes `text` and `image` or `audio`; its second module normalises. It can
    be trained, saved and loaded like any other: `SentenceTransformer(folder)` does not need nearfar, unless the tower
    is `whisper-tiny`, which contains `nearfar.models.frames.RealFrames`; `nearfar.load` loads it, too. If the vectors
    of a tower do not have `dims` dimensions, it ends with a linear layer; this is not possible for the frozen tower.

    Args:
        text: A text encoder: a folder, a Hub ID, an alias, or a model in memory, whose modules are used, not copied.
        image: A vision model by folder or Hub ID, or `small-cnn`, `small-vit`, which have random initial weights.
        audio: The same for audio; `small-audio` has random initial weights, and `whisper-tiny` is pre-trained. Pass
            either `image` or `audio`.
        dims: Number of dimensions; by default that of the frozen tower, or that of the text tower.
        frozen: The tower that is not trained, see `freeze`.
        image_size: Width and height of images in pixels, for the small image towers.
        seconds: Seconds of audio that `small-audio` and `whisper-tiny` use.
        device: Device of the model; by default sentence-transformers chooses.

    Raises:
        InputError: A tower cannot be loaded or encodes something else, or a frozen tower does not have `dims`
            dimensions.

    Example:
        >>> model = two_towers("minilm", image="small-cnn", frozen="text")  # doctest: +SKIP
        >>> model.encode(["a red car"], task="text") @ model.encode([picture], task="image").T  # doctest: +SKIP
    """
    from sentence_transformers import SentenceTransformer

    if (image is None) == (audio is None):
        problem = f"expected either an image or an audio model, got {'none' if image is None else 'both'}"
        raise InputError(problem, field="image_model", remedy="pass one of them in addition to the text model")
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
    """Add a tower for images or audio to a text encoder, in place. The arguments are those of `two_towers`.

    Raises:
        InputError: The model already has several towers, or see `two_towers`.
    """
    from sentence_transformers.base.modules import Router

    if isinstance(next(iter(model), None), Router):
        raise InputError("the model already has several towers", field="model", remedy="use a text encoder")
    other = media_tower(tower, medium, image_size=image_size, seconds=seconds)
    joined, device = _joined(text_tower(model), other, medium, frozen, dims), model.device
    for name in list(model._modules):
        del model._modules[name]
    for place, module in enumerate(joined):
        model.add_module(str(place), module.to(device))
    if frozen is not None:
        freeze(model, frozen)


def freeze(model: SentenceTransformer, tower: str) -> None:
    """Freeze a tower: it gets no gradients, and stays in evaluation mode while the model is trained.

    No activations are stored for a backward pass there. Freezing is not saved: it must be repeated for a loaded model.

    Raises:
        InputError: The model has no such tower.
    """
    routes = router_of(model).sub_modules
    if tower not in routes:
        problem = f"the model has no {tower!r} tower"
        raise InputError(problem, field="frozen", remedy=f"choose from {', '.join(routes)}")
    modules: Any = routes[tower].requires_grad_(False).eval()
    modules.train = MethodType(_stay, modules)


def _stay(self: nn.Module, mode: bool = True) -> nn.Module:
    """`train` of a frozen tower: dropout stays off, and batch statistics are not updated."""
    return self


def _joined(text: list[Any], other: list[Any], medium: Medium, frozen: str | None, dims: int | None) -> list[Any]:
    """The modules of a model with two towers with equal dimensions."""
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sentence_transformer.modules import Normalize

    towers = {"text": text, medium: other}
    if frozen is not None and frozen not in towers:
        raise InputError(f"the model has no {frozen!r} tower", field="frozen", remedy=f"use text or {medium}")
    _agree_on_length(text[0], other[0])
    width = _width(towers[frozen or "text"]) if dims is None else dims
    if width < 1:
        raise InputError(f"invalid value {width}", field="dims", remedy="use at least 1")
    for name, modules in towers.items():
        if _width(modules) == width:
            continue
        if name == frozen:
            problem = f"expected {width} dimensions, got {_width(modules)} from the frozen {name} tower"
            raise InputError(problem, field="dims", remedy="remove dims, or freeze no tower")
        modules.append(_projection(_width(modules), width))
    return [Router(towers, default_route="text"), Normalize()]


def _agree_on_length(text: Any, other: Any) -> None:
    """Use the length limit of the text tower: a speech model may have a tokenizer with another limit."""
    if getattr(other, "tokenizer", None) is not None and getattr(text, "max_seq_length", None):
        other.max_seq_length = text.max_seq_length


def _width(modules: list[Any]) -> int:
    for module in reversed(modules):
        width = getattr(module, "get_embedding_dimension", lambda: None)()
        if width:
            return int(width)
    raise InputError(f"the number of dimensions of {type(modules[-1]).__name__} is unknown", field="model")


def _projection(width: int, dims: int) -> Any:
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense

    return Dense(width, dims, bias=False, activation_function=torch.nn.Identity())
