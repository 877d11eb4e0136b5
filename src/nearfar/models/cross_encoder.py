"""Loads a cross-encoder by name, only from safetensors and without remote code."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.models.kind_files import kind_of_folder, require_kind
from nearfar.models.loading import check_files, check_weights, find

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

__all__ = ["load_cross_encoder", "without_library_notes"]

logger = logging.getLogger(__name__)


def load_cross_encoder(
    name: str | Path, *, device: str | None = None, new_head: bool = True, field: str | None = None
) -> CrossEncoder:
    """Load a cross-encoder in evaluation mode.

    A CrossEncoder of sentence-transformers, or a sequence classifier of transformers, is loaded as it is. A causal
    language model answers yes or no: its score is logit(yes) - logit(no) after the pair. An encoder gets a new
    classifier with one output, which must be trained; there is a warning.

    Args:
        name: A folder, a Hub ID or an alias.
        device: Device of the model; by default sentence-transformers chooses.
        new_head: Whether an encoder may get a new classifier.
        field: The option with the model's name, for messages.

    Raises:
        InputError: The model does not exist, is of another kind, or cannot be loaded.
    """
    from sentence_transformers import CrossEncoder

    folder = find(name)
    check_files(folder)
    kind = kind_of_folder(folder)
    if kind == "encoder" and new_head:
        logger.warning("%s is a text encoder: as a reranker it gets a new classifier, which must be trained", folder)
    else:
        kind = require_kind(folder, "reranker", "causal LM")
    try:
        with without_library_notes():
            model = CrossEncoder(
                str(folder) if kind != "encoder" else str(_transformer_of(folder)),
                device=device,
                num_labels=1 if kind == "encoder" else None,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
    except Exception as error:
        raise InputError(
            f"cannot be loaded as a cross-encoder ({type(error).__name__}: {' '.join(str(error).split())[:200]})",
            file=folder,
            field=field,
            remedy="pass a sentence-transformers CrossEncoder, a sequence classifier, or a causal language model",
        ) from error
    if kind == "causal LM":
        _check_answers(model, folder)
    check_weights(model, folder)
    return model.eval()


def _transformer_of(folder: Path) -> Path:
    """The transformer inside a sentence-transformers folder."""
    inner = folder / "0_Transformer"
    return inner if inner.is_dir() else folder


def _check_answers(model: CrossEncoder, folder: Path) -> None:
    """Raise an InputError if "yes" and "no" are not different tokens: the score would always be 0."""
    head = model[-1]
    tokens = {getattr(head, "true_token_id", None), getattr(head, "false_token_id", None)}
    unknown = getattr(model.tokenizer, "unk_token_id", None)
    if None in tokens or len(tokens) < 2 or (unknown is not None and unknown in tokens):
        raise InputError(
            "the model's vocabulary has no single tokens 'yes' and 'no'",
            file=folder,
            remedy="pass a language model whose tokenizer has both",
        )


@contextmanager
def without_library_notes() -> Iterator[None]:
    """Turn off the warning of transformers about a new classifier, which is intended here."""
    from transformers.utils import logging as library

    level, bar = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    try:
        yield
    finally:
        library.set_verbosity(level)
        if bar:
            library.enable_progress_bar()
