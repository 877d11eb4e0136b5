"""Loads a sequence-to-sequence language model by name, only from safetensors and without remote code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfar.models.completeness import incomplete, missing_of
from nearfar.models.kind_files import require_kind
from nearfar.models.load_failures import failures_named, without_progress_bar
from nearfar.models.loading import check_weights, find
from nearfar.models.model_files import check_files

__all__ = ["load_seq2seq_model"]


def load_seq2seq_model(name: str | Path, device: str | None = None) -> tuple[Any, Any]:
    """A model of the T5 or BART family in evaluation mode, and its tokenizer.

    Args:
        name: A folder or a Hub ID.
        device: Device of the model; by default a GPU if there is one.

    Raises:
        InputError: The model does not exist, is of another kind, lacks weights, or cannot be loaded.
    """
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = find(name)
    check_files(folder)
    require_kind(folder, "seq2seq LM")
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    loader: Any = AutoModelForSeq2SeqLM
    remedy = "pass a transformers model such as T5, with its tokenizer"
    with failures_named(folder, "a sequence-to-sequence language model", remedy), without_progress_bar():
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
        model, found = loader.from_pretrained(str(folder), use_safetensors=True, output_loading_info=True, **options)
    if missing := missing_of(model, found):
        raise incomplete(missing[0], folder)
    check_weights(model, folder)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval(), tokenizer
