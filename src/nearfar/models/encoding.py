"""Texts to vectors, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nearfar.data.media import MEDIA
from nearfar.errors import InputError
from nearfar.models.routes import medium_of

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["Kind", "as_texts", "check_batch_size", "check_texts", "encode", "require_finite"]

Kind = Literal["query", "document"]


def encode(
    model: SentenceTransformer,
    texts: Sequence[str],
    *,
    batch_size: int = 64,
    max_length: int | None = None,
    normalize: bool = True,
    kind: Kind | None = None,
) -> Float[np.ndarray, "n d"]:
    """The vectors of a list of texts, in its order, as float32.

    Args:
        model: The encoder.
        texts: At least one text.
        batch_size: Texts a forward pass.
        max_length: Tokens after which a text is cut; the model's own setting when None.
        normalize: Scale every vector to length 1.
        kind: Whether the texts are queries or documents, for models that prefix these differently.

    Raises:
        InputError: There is no text, a row is not text, too short a length, or the model answers with NaN or infinity.
    """
    import numpy as np

    check_batch_size(batch_size)
    check_texts(texts)
    if max_length is not None:
        from nearfar.models.loading import check_max_length

        check_max_length(model, max_length)
    method = {"query": model.encode_query, "document": model.encode_document, None: model.encode}[kind]
    # Passed only when asked for: a model that reads words, not tokens, takes no such setting.
    cut: dict[str, Any] = {} if max_length is None else {"processing_kwargs": {"text": {"max_length": max_length}}}
    if medium_of(model) is not None:
        method, texts, cut = model.encode, as_texts(texts), {**cut, "task": "text"}
    vectors = method(list(texts), batch_size=batch_size, normalize_embeddings=normalize, show_progress_bar=False, **cut)
    vectors = np.asarray(vectors, dtype=np.float32)
    require_finite(vectors)
    return vectors


def as_texts(texts: Iterable[str]) -> list[str]:
    """Texts that stay texts: one that is the path or address of an image would be opened, or fail, in a model that
    reads both. A space before it, which tokenizers drop, is all it takes.
    """
    from sentence_transformers.base.modality import infer_modality

    kinds: list[Any] = ["text", *MEDIA]
    return [text if infer_modality(text, kinds) == "text" else f" {text}" for text in texts]


def check_texts(texts: Sequence[str], *, field: str = "text", first_row: int = 1) -> None:
    """Raise an InputError, naming column and row, where there is no text or a row holds something else."""
    if not len(texts):
        raise InputError("there is no text to encode", field=field, remedy="pass at least one row")
    for row, text in enumerate(texts, start=first_row):
        if not isinstance(text, str):
            raise InputError(
                f"row {row} holds {text!r}, which is not text", field=field, remedy="fill it or drop the row"
            )


def require_finite(vectors: Float[np.ndarray, "n d"]) -> None:
    """Raise an InputError where a vector holds NaN or infinity, which every later number would inherit."""
    import numpy as np

    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise InputError(
            f"the model's vectors hold NaN or infinity for {len(broken)} of {len(vectors)} texts",
            field="model",
            remedy="its training diverged, or it overflows in half precision: load it in float32",
        )


def check_batch_size(batch_size: int) -> None:
    """Raise an InputError unless a batch has at least one text."""
    if batch_size < 1:
        raise InputError(f"{batch_size} texts a batch is too few", field="batch_size", remedy="give at least 1")
