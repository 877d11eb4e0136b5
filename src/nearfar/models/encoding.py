"""Encodes texts as vectors in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from nearfar.data.media import MEDIA, WORDS
from nearfar.errors import InputError
from nearfar.models.abilities import Encodes
from nearfar.models.routes import medium_of, only_medium

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = [
    "BATCH_SIZE",
    "Kind",
    "TextOptions",
    "as_texts",
    "check_batch_size",
    "check_texts",
    "encode",
    "method_of",
    "require_finite",
]

Kind = Literal["query", "document"]
BATCH_SIZE = 64


class TextOptions(TypedDict, total=False):
    """The options of `encode`, which describes them and has their defaults, for functions that pass them on."""

    batch_size: int
    max_length: int | None
    normalize: bool
    kind: Kind | None
    prompt: str | None


def encode(
    model: SentenceTransformer | Encodes,
    texts: Sequence[str],
    *,
    batch_size: int = BATCH_SIZE,
    max_length: int | None = None,
    normalize: bool = True,
    kind: Kind | None = None,
    prompt: str | None = None,
) -> Float[np.ndarray, "n d"]:
    """The vectors of a list of texts, in the same order, as float32.

    Args:
        model: The encoder; a model with the ability `Encodes` has its own length, and vectors of length 1.
        texts: At least one text.
        batch_size: Batch size.
        max_length: Maximum sequence length in tokens (longer texts are truncated); by default the model's own.
        normalize: Whether to normalise the vectors to length 1.
        kind: Whether the texts are queries or documents, for models with different prompts for these.
        prompt: What to put before each text; by default the model's own prompt, see `nearfar.models.prompts.prompt_of`.

    Raises:
        InputError: There are no texts, a row is not a string, the length is invalid, the model encodes no texts or
            reads no prompts, or it returns NaN or infinity.
    """
    import numpy as np

    check_batch_size(batch_size)
    check_texts(texts)
    if isinstance(model, Encodes):
        if prompt is not None:
            raise InputError("the model reads no prompts", field="prompt", remedy="remove it")
        return model.encode(texts, batch_size=batch_size, kind=kind)
    if (medium := only_medium(model)) is not None:
        remedy = f"use {WORDS[medium]}, or a text encoder"
        raise InputError(f"expected a model for texts, got one for {WORDS[medium]}", field="model", remedy=remedy)
    if max_length is not None:
        from nearfar.models.loading import check_max_length

        check_max_length(model, max_length)
    method = method_of(model, kind)
    # Passed only if given: a model of words, not tokens, does not accept this setting.
    cut: dict[str, Any] = {} if max_length is None else {"processing_kwargs": {"text": {"max_length": max_length}}}
    if medium_of(model) is not None:
        method, texts, cut = model.encode, as_texts(texts), {**cut, "task": "text"}
    cut = cut if prompt is None else {**cut, "prompt": prompt}
    vectors = method(list(texts), batch_size=batch_size, normalize_embeddings=normalize, show_progress_bar=False, **cut)
    vectors = np.asarray(vectors, dtype=np.float32)
    require_finite(vectors)
    return vectors


def method_of(model: SentenceTransformer, kind: Kind | None) -> Callable[..., Any]:
    """The method of sentence-transformers that encodes queries, documents or texts that are neither.

    It chooses the prompt, see `nearfar.models.prompts.prompt_of`, and the tower of a model with one for each side.
    """
    return {"query": model.encode_query, "document": model.encode_document, None: model.encode}[kind]


def as_texts(texts: Iterable[str]) -> list[str]:
    """Texts that are not taken for files: a model for texts and images would open a text that is the path or URL of an
    image. Such a text gets a leading space, which tokenizers ignore.
    """
    from sentence_transformers.base.modality import infer_modality

    kinds: list[Any] = ["text", *MEDIA]
    return [text if infer_modality(text, kinds) == "text" else f" {text}" for text in texts]


def check_texts(texts: Sequence[str], *, field: str = "text", first_row: int = 1) -> None:
    """Raise an InputError with column and row if there are no texts, or a row is not a string."""
    if not len(texts):
        raise InputError("expected at least one text, got none", field=field, remedy="pass at least one row")
    for row, text in enumerate(texts, start=first_row):
        if not isinstance(text, str):
            raise InputError(
                f"row {row}: expected a string, got {text!r}", field=field, remedy="add a text, or remove the row"
            )


def require_finite(vectors: Float[np.ndarray, "n d"]) -> None:
    """Raise an InputError if a vector contains NaN or infinity, which would spoil all later results."""
    import numpy as np

    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise InputError(
            f"the model's vectors contain NaN or infinity for {len(broken)} of {len(vectors)} texts",
            field="model",
            remedy="the training diverged, or half precision overflows: load the model in float32",
        )


def check_batch_size(batch_size: int) -> None:
    """Raise an InputError unless the batch size is at least 1."""
    if batch_size < 1:
        raise InputError(f"invalid batch size {batch_size}", field="batch_size", remedy="use at least 1")
