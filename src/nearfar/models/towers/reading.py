"""Pictures and recordings into vectors, decoded a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfar.data.media import WORDS, Medium, Reader, decoded, medium_in, undecoded
from nearfar.data.positives import paired_with_themselves
from nearfar.errors import InputError
from nearfar.models.encoding import as_texts, encode, require_finite
from nearfar.models.towers.build import router_of
from nearfar.models.towers.texts import has_text_towers

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["both_sides", "encode_media", "encode_tower", "numbered_inputs", "reader_for"]

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


def both_sides(model: SentenceTransformer, rows: Dataset) -> Dataset:
    """Rows of two columns, the inputs of a model's two sides.

    Args:
        model: A model with a tower for each side, or one for both.
        rows: Files with texts, which are decoded when a row is accessed; pairs, which are unchanged; or texts, which
            become pairs of a text with itself.

    Raises:
        InputError: Texts alone for a model with one tower, whose two sides would be equal.
    """
    medium = medium_in(rows.column_names)
    if medium is not None:
        return decoded(rows.select_columns([medium, "text"]), reader_for(model, medium))
    if "text" not in rows.column_names:
        return rows
    if not has_text_towers(model):
        problem = "expected pairs, got single texts, of which one tower makes the same vector twice"
        raise InputError(problem, field="towers", remedy="set towers=two, or use pairs")
    return paired_with_themselves(rows)


def numbered_inputs(model: SentenceTransformer, rows: Dataset, tower: str) -> Dataset:
    """The inputs of one tower with their row numbers: its column `text`, `image` or `audio`, and `label`, 0, 1, ..."""
    from datasets import Dataset

    if tower == "text":
        return Dataset.from_dict({"text": as_texts(rows["text"]), "label": range(len(rows))})
    numbered = rows.select_columns([tower]).add_column("label", list(range(len(rows))))
    return decoded(numbered, reader_for(model, "image" if tower == "image" else "audio"))


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
