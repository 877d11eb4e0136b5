"""The source of vectors for an inspection: an encoder, or existing vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nearfar.errors import InputError
from nearfar.inspection.vector_files import is_vectors, read_vectors
from nearfar.models.encoding_windows import EncodeWindows, EncodingOf, encode_windows, in_this_process
from nearfar.models.prompts import prompt_of

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

    from nearfar.inspection.sample import Sample, Side
    from nearfar.models.stored_arrays import StoredArrays

Step = Callable[[int], None]

_ITEMS_PER_STEP = 1_024


@dataclass(frozen=True, eq=False)
class VectorSource:
    """Gives the vectors of a sample.

    Args:
        name: What to call it.
        encoder: An encoder; None where there are vectors.
        vectors: Vectors of the data's texts, as a matrix or its file; None where there is an encoder.
        encode: What encodes texts with the encoder.
        stored: Where their vectors are stored, so that an interrupted command is resumed.
    """

    name: str
    encoder: SentenceTransformer | None = None
    vectors: str | Path | np.ndarray | None = None
    encode: EncodeWindows = encode_windows
    stored: StoredArrays | None = None

    def of(self, sample: Sample, *, batch_size: int = 64, step: Step | None = None) -> tuple[np.ndarray, ...]:
        """The unit vectors of each side's items, (items, d) each; see `encode_sides` and `read_vectors`."""
        if self.encoder is not None:
            return encode_sides(
                self.encoder, sample, batch_size=batch_size, step=step, encode=self.encode, stored=self.stored
            )
        assert self.vectors is not None
        return read_vectors(self.vectors, sample)

    def prompts(self, sample: Sample) -> dict[str, str]:
        """What the encoder puts before the texts of each side that has a prompt."""
        if self.encoder is None:
            return {}
        texts = [side for side in sample.sides if side.medium == "text"]
        found = {side.name: prompt_of(self.encoder, _kind(self.encoder, side)) for side in texts}
        return {name: prompt for name, prompt in found.items() if prompt}


def open_source(
    model: SentenceTransformer | str | Path | np.ndarray,
    encoding: EncodingOf = in_this_process,
    stored: StoredArrays | None = None,
) -> VectorSource:
    """A model by its name or in memory; or vectors as a matrix, or a file with an ending of `VECTOR_FILES`.

    Raises:
        InputError: The model does not exist.
    """
    named = isinstance(model, (str, Path))
    if is_vectors(model):
        return VectorSource(str(model) if named else "vectors", vectors=model)
    from nearfar.models import load

    encoder: Any = load(model) if named else model
    name = str(model) if named else encoder.model_card_data.base_model or "model"
    return VectorSource(name, encoder, encode=encoding(str(model) if named else None), stored=stored)


def open_sources(
    model: SentenceTransformer | str | Path | np.ndarray,
    against: SentenceTransformer | str | Path | np.ndarray | None,
    encoding: EncodingOf = in_this_process,
    stored: StoredArrays | None = None,
) -> list[VectorSource]:
    """One source or two: a model and the one that it is compared with, or the first two views of a model.

    Args:
        model: The model.
        against: The other model.
        encoding: Chooses what encodes texts with each.
        stored: Where vectors of texts are stored, so that an interrupted command is resumed.

    Raises:
        InputError: A model does not exist, or a model with views is compared with another.
    """
    from nearfar.models.views import one_view, views_of

    models = [model] if against is None else [model, against]
    sources = [open_source(each, encoding, stored) for each in models]
    found = []
    for source in sources:
        views = () if source.encoder is None else views_of(source.encoder)
        if views and against is not None:
            problem = f"{source.name} has several views, which are compared with each other"
            raise InputError(problem, field="--against", remedy=f"pass one view: {source.name}/{views[0]}")
        for view in views[:2]:
            assert source.encoder is not None
            name = str(model) if isinstance(model, (str, Path)) else None
            encode = encoding(name, view=view)
            view_name = f"{source.name}/{view}"
            found.append(VectorSource(view_name, one_view(source.encoder, view), encode=encode, stored=stored))
        found += [] if views else [source]
    return found


def encode_sides(
    model: SentenceTransformer,
    sample: Sample,
    *,
    batch_size: int = 64,
    step: Step | None = None,
    encode: EncodeWindows = encode_windows,
    stored: StoredArrays | None = None,
) -> tuple[Float[np.ndarray, "n d"], ...]:
    """The unit vectors of each side's items, in their order.

    Args:
        model: The encoder.
        sample: What is encoded.
        batch_size: Number of items in one forward pass.
        step: Called with the number of items encoded since the last call.
        encode: What encodes texts. Files are encoded in this process.
        stored: Where the vectors of texts are stored, so that an interrupted command is resumed.

    Raises:
        InputError: the model does not encode such items, or returns NaN or infinity.
    """
    import numpy as np

    found = []
    for side in sample.sides:
        parts = []
        if side.medium == "text":
            kind = _kind(model, side)
            windows = encode(model, side.items, size=_ITEMS_PER_STEP, batch_size=batch_size, kind=kind, stored=stored)
        else:
            windows = _windows_of_files(model, side, side.medium, batch_size)
        for _, vectors in windows:
            parts.append(vectors)
            if step is not None:
                step(len(parts[-1]))
        found.append(np.concatenate(parts))
    widths = [vectors.shape[1] for vectors in found]
    if len(set(widths)) > 1:
        raise InputError(
            f"expected towers with vectors of one width, got {widths[0]} and {widths[1]} dimensions",
            field="model",
            remedy="use a model whose towers end in the same space",
        )
    return tuple(found)


def _windows_of_files(
    model: SentenceTransformer, side: Side, medium: Literal["image", "audio"], batch_size: int
) -> Iterator[tuple[list[Any], np.ndarray]]:
    """Files of a side and their vectors, in windows."""
    from nearfar.models.routes import medium_of, only_medium
    from nearfar.models.towers.reading import encode_media

    if medium_of(model) is None and only_medium(model) is None:
        raise InputError(
            "the model encodes only text", field=side.name, remedy=f"use a model with a tower for {medium}"
        )
    for start in range(0, len(side), _ITEMS_PER_STEP):
        items = list(side.items[start : start + _ITEMS_PER_STEP])
        yield items, encode_media(model, items, medium, batch_size=batch_size)


def _kind(model: SentenceTransformer, side: Side) -> Literal["query", "document"] | None:
    """What the texts of a side are for a model: with a tower for each, texts that are neither are read as queries."""
    from nearfar.models.routes import medium_of
    from nearfar.models.towers.texts import has_text_towers

    return None if medium_of(model) else side.kind or ("query" if has_text_towers(model) else None)
