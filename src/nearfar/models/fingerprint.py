"""A hash of everything that affects a model's vectors, to detect vectors that came from another model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.files import sha256

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from torch import nn


def fingerprint(model: SentenceTransformer | CrossEncoder) -> str:
    """A SHA-256 over a model's weights, vocabulary and settings (pooling, prompts, lengths), in hexadecimal.

    It is the same whenever and on whatever device a folder is loaded, and changes with any weight, prompt or pooling.
    """
    digest = _of_weights(model)
    settings = {
        # A module without settings, such as Normalize, still changes the vectors.
        "modules": [[type(module).__name__, _settings(module)] for module in model],
        "prompts": model.prompts,
        "default_prompt_name": model.default_prompt_name,
        "truncate_dim": getattr(model, "truncate_dim", None),
        "similarity": getattr(model, "similarity_fn_name", None),
        "max_length": model.max_seq_length,
    }
    # Static vectors: the length is a setting of the tokenizer, which has no other settings here.
    if truncation := getattr(model.tokenizer, "truncation", None):
        settings["truncation"] = truncation
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    # Only the vocabulary: a serialized tokenizer also contains the padding of its last batch.
    get_vocab = getattr(model.tokenizer, "get_vocab", None)
    if get_vocab is not None:
        digest.update(json.dumps(sorted(get_vocab().items())).encode())
    return digest.hexdigest()


def weights_fingerprint(model: nn.Module) -> str:
    """A SHA-256 over a model's tensors, in hexadecimal."""
    return _of_weights(model).hexdigest()


def files_fingerprint(folder: Path) -> str:
    """A SHA-256 over the files of a model's weights and settings, in hexadecimal: nothing is loaded."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json")):
        digest.update(f"{file.relative_to(folder).as_posix()} {sha256(file)};".encode())
    return digest.hexdigest()


def _of_weights(model: nn.Module) -> Any:
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items(), key=lambda item: item[0]):
        if isinstance(value, torch.Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest


def _settings(module: object) -> dict[str, object]:
    get_config_dict = getattr(module, "get_config_dict", None)
    return {} if get_config_dict is None else _text_keys(get_config_dict())


def _text_keys(value: Any) -> Any:
    """A value with string keys, as JSON requires: a `Router` maps pairs of task and modality."""
    return {str(key): _text_keys(held) for key, held in value.items()} if isinstance(value, dict) else value
