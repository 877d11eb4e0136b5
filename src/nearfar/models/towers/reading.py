"""Encodes images and audio, decoded batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfar.data.media import WORDS, Medium, Reader, undecoded
from nearfar.errors import InputError
from nearfar.models.abilities import Encodes, EncodesMedia
from nearfar.models.encoding import encode, require_finite
from nearfar.models.routes import only_medium, router_of

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["check_medium", "encode_media", "encode_tower", "input_size", "reader_for"]

#: Sampling rate of an audio model, and size of an image model, if its processor does not define one.
_RATE, _SIZE = 16_000, 224


def reader_for(model: SentenceTransformer, medium: Medium) -> Reader:
    """How files must be decoded for a model: at which rate, and for how many seconds.

    Raises:
        InputError: The model does not encode such files.
    """
    only = only_medium(model)
    routes: Any = router_of(model).sub_modules if only is None else {str(only): None}
    if medium not in routes:
        words: dict[str, str] = {"text": "texts", **WORDS}
        found = " and ".join(words.get(name, str(name)) for name in routes)
        raise InputError(
            f"expected a model for {WORDS[medium]}, got one for {found}",
            field=medium,
            remedy=f"use a model for {WORDS[medium]}",
        )
    processor = getattr(_first_module(model) if only else routes[medium][0], "processor", None)
    ears = getattr(processor, "feature_extractor", processor)
    rate, seconds = getattr(ears, "sampling_rate", None), getattr(ears, "chunk_length", None)
    return Reader(medium, rate or _RATE, seconds)


def input_size(model: SentenceTransformer) -> int:
    """The width and height in pixels of the images that the image tower of a model gets from its processor."""
    tower: Any = router_of(model).sub_modules["image"]
    processor = getattr(tower[0], "processor", None)
    eyes = getattr(processor, "image_processor", processor)
    names = ["crop_size"] if getattr(eyes, "do_center_crop", False) else []
    for name in (*names, "size"):
        size = getattr(eyes, name, None)
        for side in ("height", "shortest_edge"):
            if size is not None and side in size and size[side]:
                return int(size[side])
    return _SIZE


def check_medium(model: SentenceTransformer | Encodes, medium: Medium) -> None:
    """Raise an InputError if a model does not encode files of a medium."""
    if not isinstance(model, EncodesMedia):
        reader_for(model, medium)  # type: ignore[arg-type]
    elif model.medium != medium:
        problem = f"expected a model for {WORDS[medium]}, got one for texts and {WORDS[model.medium]}"
        raise InputError(problem, field=medium, remedy=f"use a model for {WORDS[medium]}")


def encode_tower(
    model: SentenceTransformer, rows: Dataset, tower: str, *, batch_size: int = 64
) -> Float[np.ndarray, "n d"]:
    """The unit vectors of a column of rows, from the tower with its name: `text`, `image` or `audio`."""
    if tower == "text":
        return encode(model, rows["text"][:], batch_size=batch_size)
    medium: Medium = "image" if tower == "image" else "audio"
    return encode_media(model, undecoded(rows, medium)[medium][:], medium, batch_size=batch_size)


def encode_media(
    model: SentenceTransformer | Encodes,
    files: Sequence[Any],
    medium: Medium,
    *,
    batch_size: int = 64,
    normalize: bool = True,
) -> Float[np.ndarray, "n d"]:
    """The vectors of images or audio files, in their order, as float32. One batch is in memory at a time.

    Args:
        model: A model with a tower for the medium; one that encodes only this; or one with the ability `EncodesMedia`,
            whose vectors have length 1.
        files: Paths, or the values of a column `image` or `audio` from the Hub.
        medium: `image` or `audio`.
        batch_size: Batch size.
        normalize: Whether to normalise the vectors to length 1.

    Raises:
        InputError: There are no files, a file cannot be decoded, or the model returns NaN or infinity.
    """
    import numpy as np

    if not len(files):
        raise InputError(f"expected at least one {medium} file, got none", field=medium, remedy="pass at least one row")
    check_medium(model, medium)
    if isinstance(model, EncodesMedia):
        return model.encode_media(files, batch_size=batch_size)
    assert not isinstance(model, Encodes)
    reader, found = reader_for(model, medium), []
    tower = None if only_medium(model) else medium
    for start in range(0, len(files), batch_size):
        items = [reader.read(file) for file in files[start : start + batch_size]]
        found.append(
            model.encode(
                items, task=tower, batch_size=len(items), normalize_embeddings=normalize, show_progress_bar=False
            )
        )
    vectors = np.concatenate(found).astype(np.float32, copy=False)
    require_finite(vectors)
    return vectors


def _first_module(model: SentenceTransformer) -> Any:
    """The module that reads the input of a model with one tower, or of its views."""
    first: Any = model[0]
    return next(iter(first.sub_modules.values()))[0] if hasattr(first, "sub_modules") else first
