"""Loads a text encoder by name, only from safetensors and without remote code."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.adapter_base import check_base
from nearfar.models.adapters import CONFIGURATION
from nearfar.models.completeness import check_complete, watched
from nearfar.models.finding import folder_of
from nearfar.models.gguf_folders import plain_folder
from nearfar.models.kind_files import require_kind
from nearfar.models.last_token import pool_last_token
from nearfar.models.lengths import check_length, least_length
from nearfar.models.load_failures import failures_named, first_line, without_progress_bar
from nearfar.models.model_files import check_files

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

logger = logging.getLogger(__name__)


def load(
    name: str | Path,
    *,
    device: str | None = None,
    max_length: int | None = None,
    layers: int | None = None,
    dims: int | None = None,
    view: str | None = None,
    part_of: str | None = None,
) -> SentenceTransformer:
    """Load a text encoder.

    An alias has priority over a folder of the same name; write `./minilm` for the folder. A plain transformers folder
    or Hub ID gets mean pooling over its tokens, and a causal language model the state at an end token, see
    `nearfar.models.last_token`. Only safetensors weights are read, and a model's own code is never run.

    Args:
        name: A folder, a Hub ID such as `sentence-transformers/all-MiniLM-L6-v2`, a `.gguf` file, or a key of `ALIASES`
            or `GENERATORS`.
        device: Device of the model, such as `cpu` or `cuda:0`; by default sentence-transformers chooses.
        max_length: Maximum sequence length in tokens (longer texts are truncated); by default the model's own.
        layers: Number of layers to keep, the first ones; good vectors need a model that was trained for this.
        dims: Number of dimensions to keep, the first ones; see `nearfar.models.elastic.truncated`.
        view: Name of a view, of a model that has several; by default all, of which the first one encodes.
        part_of: The kind of model that needs the encoder, such as `pair scorer`; otherwise there is a warning that the
            rest of such a folder is not used.

    Returns:
        The encoder, in evaluation mode.

    Raises:
        InputError: The model does not exist, has no safetensors weights, or its weights are corrupted (or NaN or
            infinite); the device cannot be used; the length, layers or dimensions are more than the model has; or it
            has no such view.

    Example:
        >>> load("minilm").encode(["near", "far"]).shape  # doctest: +SKIP
        (2, 384)
        >>> load("runs/matryoshka_2d/model", layers=3, dims=64).encode(["near", "far"]).shape  # doctest: +SKIP
        (2, 64)
    """
    from sentence_transformers import SentenceTransformer

    from nearfar.models.frames import OWN_MODULES, has_own_modules

    _check_device(device)
    folder = find(name)
    check_files(folder)
    check_base(folder)
    kind = _check_kind(folder, part_of)
    # The base model of an adapter may be on the Hub; everything else is already in the folder.
    complete = not (folder / CONFIGURATION).is_file()
    remedy = "pass a sentence-transformers model, or a transformers encoder with its tokenizer"
    with failures_named(folder, "a text encoder", remedy), without_progress_bar(), watched() as found:
        options: dict[str, Any] = {
            "device": device,
            "trust_remote_code": False,
            "local_files_only": complete,
            "model_kwargs": {"use_safetensors": True},
        }
        if has_own_modules(folder):
            # Modules of this package are given, and others are refused: no import follows the names in a folder.
            model = SentenceTransformer._load_with_module_classes(str(folder), OWN_MODULES, **options)
        else:
            model = SentenceTransformer(str(folder), **options)
    check_complete(found, model, folder)
    check_weights(model, folder)
    if kind == "causal LM":
        pool_last_token(model, folder)
    if view is not None:
        from nearfar.models.views import one_view

        model = one_view(model, view)
    own, least = getattr(model, "max_seq_length", None), least_length(getattr(model, "tokenizer", None))
    if isinstance(own, int) and own < least:
        problem = f"the model truncates texts to {own} tokens, of which none remains beside its special tokens"
        raise InputError(problem, file=folder, field="max_seq_length", remedy=f"set it to at least {least}")
    if max_length is not None:
        check_max_length(model, max_length)
        _truncate(model, max_length)
    if layers is not None or dims is not None:
        from nearfar.models.elastic import truncated

        model = truncated(model, layers, dims)
    return model.eval()


def _truncate(model: SentenceTransformer, max_length: int) -> None:
    """Truncate texts to a length. A model of static vectors has no setting for it, but its tokenizer does."""
    from tokenizers import Tokenizer

    if isinstance(model.tokenizer, Tokenizer):
        model.tokenizer.enable_truncation(max_length)
    else:
        model.max_seq_length = max_length


#: What models contain beside their encoder.
_MORE = {"pair scorer": "a pair head", "classifier": "vectors of labels"}


def _check_kind(folder: Path, part_of: str | None) -> str:
    """The kind of the model, which must contain an encoder; warn if only a part of the model is used."""
    kind = require_kind(folder, "encoder", "two towers", "pair scorer", "classifier", "causal LM")
    if kind in _MORE and part_of != kind:
        logger.warning("%s has %s, which this does not use: only its encoder is loaded", folder, _MORE[kind])
    return kind


def find(name: str | Path) -> Path:
    """The folder of the model called `name`, downloaded from the Hub (or found in its cache) if necessary.

    The weights of a GGUF file, such as `smollm2`, are unpacked, see `nearfar.models.gguf_folders`.

    Raises:
        InputError: There is no such alias, folder, file or Hub ID.
    """
    return folder_of(plain_folder(name))


def _check_device(device: str | None) -> None:
    import torch

    if device is None:
        return
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"the device {device!r} cannot be used: {first_line(error)}", field="device", remedy="try cpu"
        ) from error


def check_weights(model: nn.Module, folder: Path) -> None:
    """Raise an InputError if a weight is NaN or infinite."""
    import torch

    for name, weights in model.state_dict().items():
        if isinstance(weights, torch.Tensor) and weights.is_floating_point() and not torch.isfinite(weights).all():
            raise InputError(
                f"the weights {name!r} contain NaN or infinity",
                file=folder,
                remedy="the training diverged: use an earlier checkpoint, or train with a lower learning rate",
            )


def check_max_length(model: SentenceTransformer, max_length: int) -> None:
    """Check that a model supports this sequence length.

    Raises:
        InputError: The length leaves no token beside the special ones, or is more than the model's positions.
    """
    # Both limits matter: RoBERTa reserves two positions, which only its tokenizer knows.
    tokenizer = getattr(model, "tokenizer", None)
    limits = [
        getattr(getattr(model, "config", None), "max_position_embeddings", None),
        getattr(tokenizer, "model_max_length", None),
    ]
    check_length(max_length, tokenizer, limits)
