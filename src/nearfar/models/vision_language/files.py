"""Saving and loading of models that read images.

language/            the language model and its tokenizer, as transformers writes them
vision/              the vision tower, as sentence-transformers writes its module
fusion.safetensors   the new layers
fusion.json          their sizes
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.load_failures import failures_named, without_progress_bar
from nearfar.models.model_files import check_files, json_object
from nearfar.writing import write_text

if TYPE_CHECKING:
    from nearfar.models.vision_language.model import VisionLanguageModel

__all__ = ["LANGUAGE", "SHAPE", "load_fusion", "save_fusion"]

LANGUAGE, VISION, WEIGHTS, SHAPE = "language", "vision", "fusion.safetensors", "fusion.json"


def save_fusion(model: VisionLanguageModel, folder: Path, write_language: Callable[[Path], None]) -> None:
    """Write a model into a folder.

    Args:
        model: The model.
        folder: The folder.
        write_language: Writes the language model and its tokenizer into a folder.
    """
    from safetensors.torch import save_file

    for part in (LANGUAGE, VISION):
        (folder / part).mkdir(parents=True, exist_ok=True)
    write_language(folder / LANGUAGE)
    with without_progress_bar():
        model.vision.save(str(folder / VISION))
    own = {name: value for name, value in model.state_dict().items() if not name.startswith("vision.")}
    save_file({name: value.contiguous() for name, value in own.items()}, folder / WEIGHTS)
    shape = {**asdict(model.shape), "train_vision": model.train_vision}
    write_text(json.dumps(shape, indent=2) + "\n", folder / SHAPE)


def load_fusion(folder: Path, language: Any) -> VisionLanguageModel:
    """Load a model from a folder, in evaluation mode.

    Args:
        folder: The folder.
        language: The language model, which was loaded before.

    Raises:
        InputError: Files are missing, or do not fit each other.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from sentence_transformers.base.modules import Transformer

    from nearfar.models.vision_language.model import Shape, VisionLanguageModel

    for part in (VISION, WEIGHTS, SHAPE):
        if not (folder / part).exists():
            raise InputError("is missing", file=folder / part, remedy="copy the whole folder of the model")
    check_files(folder / VISION)
    written = json_object(folder / SHAPE)
    remedy = "pass a folder that nearfar has written"
    with failures_named(folder / VISION, "a vision tower", remedy), without_progress_bar():
        vision = Transformer.load(str(folder / VISION), trust_remote_code=False, local_files_only=True)
    try:
        trained = bool(written.pop("train_vision", False))
        model = VisionLanguageModel(language, vision, Shape(**written), train_vision=trained)
        weights = load_file(folder / WEIGHTS)
        own = {name for name in model.state_dict() if not name.startswith("vision.")}
        if set(weights) != own:
            odd = min(set(weights) ^ own)
            raise InputError(f"{'unknown' if odd in weights else 'missing'} tensor {odd!r}", file=folder / WEIGHTS)
        model.load_state_dict(weights, strict=False)
    except (TypeError, ValueError, RuntimeError, SafetensorError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"does not fit the model ({first:.120})", file=folder / SHAPE, remedy=remedy) from error
    return model.eval()
