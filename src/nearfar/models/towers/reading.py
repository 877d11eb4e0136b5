"""Pictures and recordings into vectors, decoded a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfar.data.media import WORDS, Medium, Reader, undecoded
from nearfar.errors import InputError
from nearfar.models.encoding import encode, require_finite
from nearfar.models.towers.build import router_of

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["encode_media", "encode_tower", "reader_for"]

#: What a model of sounds hears where its processor does not say.
_RATE = 16_000


def reader_for(model: SentenceTransformer, medium: Medium) -> Reader:
    """How files must be decoded for a model: at which rate, and how much of them.

    Raises:
        InputError: the model reads no such files.
    """
    routes = router_of(model).sub_modules
    if medium not in routes:
        words: dict[str, str] = {"text": "texts", **WORDS}
        found = " and ".join(words.get(name, name) for name in routes)
        raise InputError(f"the model reads {found}", field=medium, remedy=f"give one that reads {WORDS[medium]}")
    tower: Any = routes[medium]
    processor = getattr(tower[0], "processor", None)
    ears = getattr(processor, "feature_extractor", processor)
    rate, seconds = getattr(ears, "sampling_rate", None), getattr(ears, "chunk_length", None)
    return Reader(medium, rate or _RATE, seconds)


def encode_tower(
    model: SentenceTransformer, rows: Dataset, tower: str, *, batch_size: int = 64
) -> Float[np.ndarray, "n d"]:
    """The unit vectors that one tower gives the column of rows of its own name: `text`, `image` or `audio`."""
    if tower == "text":
        return encode(model, rows["text"][:], batch_size=batch_size)
    medium: Medium = "image" if tower == "image" else "audio"
    return encode_media(model, undecoded(rows, medium)[medium][:], medium, batch_size=batch_size)


def encode_media(
    model: SentenceTransformer, files: Sequence[Any], medium: Medium, *, batch_size: int = 64, normalize: bool = True
) -> Float[np.ndarray, "n d"]:
    """The vectors of pictures or recordings, in their order, as float32. One batch of them is in memory at a time.

    Args:
        model: A model with a tower for them.
        files: Paths, or what a column `image` or `audio` of the hub holds.
        medium: Which of the two.
        batch_size: Files a forward pass.
        normalize: Scale every vector to length 1.

    Raises:
        InputError: no file, one that cannot be decoded (with its name), or a model that answers with NaN or infinity.
    """
    import numpy as np

    if not len(files):
        raise InputError(f"there is no {medium} to encode", field=medium, remedy="pass at least one row")
    reader, found = reader_for(model, medium), []
    for start in range(0, len(files), batch_size):
        items = [reader.read(file) for file in files[start : start + batch_size]]
        found.append(
            model.encode(
                items, task=medium, batch_size=len(items), normalize_embeddings=normalize, show_progress_bar=False
            )
        )
    vectors = np.concatenate(found).astype(np.float32, copy=False)
    require_finite(vectors)
    return vectors
