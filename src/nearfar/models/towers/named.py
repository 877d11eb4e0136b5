"""Towers by name: the modules that encode one kind of input as vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.aliases import SPEECH
from nearfar.models.towers.small import SMALL

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from nearfar.data.media import Medium

_READS = {"text": "texts", "image": "images", "audio": "audio"}


def text_tower(model: str | Path | SentenceTransformer) -> list[Any]:
    """The modules of a text encoder, without a final normalisation.

    Raises:
        InputError: The encoder does not exist, or does not encode texts.
    """
    from nearfar.models.loading import load

    return _route(load(model) if isinstance(model, (str, Path)) else model, "text")


def media_tower(
    model: str | Path | SentenceTransformer, medium: Medium, *, image_size: int = 64, seconds: int = 4
) -> list[Any]:
    """The modules of a tower for images or audio: a model, and the mean over its patches or frames.

    Args:
        model: A name of `SMALL`, or for audio of `SPEECH`; a folder or Hub ID of any transformers model that encodes
            the medium (in a model with several towers, such as CLIP, the tower of the medium); or a model in memory.
        medium: The medium to encode.
        image_size: Width and height of images in pixels, for the small towers.
        seconds: Seconds of audio that the small towers and those of `SPEECH` use.

    Raises:
        InputError: The model does not exist, has no safetensors weights, or encodes something else.
    """
    from sentence_transformers.sentence_transformer.modules import Pooling

    from nearfar.models.towers.speech import whisper_tower
    from nearfar.models.whisper import whisper_folder

    if not isinstance(model, (str, Path)):
        return _route(model, medium)
    if medium == "audio" and str(model) in SPEECH:
        return whisper_tower(whisper_folder(str(model)), seconds=seconds)
    builder = SMALL[medium].get(str(model))
    if builder is None:
        return _route(_loaded(model, medium), medium)
    module = builder(image_size=image_size, seconds=seconds)
    return [module, Pooling(module.get_embedding_dimension(), "mean")]


def _loaded(name: str | Path, medium: Medium) -> SentenceTransformer:
    from nearfar.models.loading import load

    if "/" not in str(name) and not Path(name).is_dir():
        known = ", ".join([*SMALL[medium], *(SPEECH if medium == "audio" else ())])
        raise InputError(
            f"unknown {medium} model {str(name)!r}",
            field=f"{medium}_model",
            remedy=f"use {known}, or a folder or Hub ID of a transformers model",
        )
    return load(name)


def _route(model: SentenceTransformer, kind: str) -> list[Any]:
    """The modules of a model that process this kind of input."""
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sentence_transformer.modules import Normalize

    modules: list[Any] = list(model)
    if modules and isinstance(modules[0], Router):
        routes: Any = modules[0].sub_modules
        modules = [*routes[kind], *modules[1:]] if kind in routes else modules
    if kind not in getattr(modules[0], "modalities", ["text"]):
        reads = ", ".join(_READS.get(str(each), str(each)) for each in getattr(modules[0], "modalities", ["text"]))
        raise InputError(
            f"expected a model that encodes {_READS[kind]}, got one for {reads}",
            field="model" if kind == "text" else f"{kind}_model",
            remedy=f"use a model for {_READS[kind]}",
        )
    while len(modules) > 1 and isinstance(modules[-1], Normalize):
        modules.pop()
    return modules
