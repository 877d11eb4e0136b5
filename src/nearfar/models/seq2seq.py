"""Loads a sequence-to-sequence language model by name, only from safetensors and without remote code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfar.errors import InputError
from nearfar.models.kind_files import require_kind
from nearfar.models.loading import check_files, check_weights, find, without_progress_bar

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
    try:
        with without_progress_bar():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
            model, found = loader.from_pretrained(
                str(folder), use_safetensors=True, output_loading_info=True, **options
            )
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise InputError(
            f"cannot be loaded as a sequence-to-sequence language model ({type(error).__name__}: {reason})",
            file=folder,
            remedy="pass a transformers model such as T5, with its tokenizer",
        ) from error
    missing = sorted(set(found["missing_keys"]) - set(model.all_tied_weights_keys or ()))
    if missing:
        raise InputError(f"the weights do not contain {missing[0]!r}", file=folder, remedy="copy the folder again")
    check_weights(model, folder)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval(), tokenizer
