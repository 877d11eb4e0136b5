"""Loads a cross-encoder by name, only from safetensors and without remote code."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.completeness import Loaded, check_complete, watched
from nearfar.models.kind_files import kind_of_folder, require_kind
from nearfar.models.language import LanguageFiles, check_gguf, find_language_model, is_gguf, unpacked
from nearfar.models.load_failures import failures_named
from nearfar.models.loading import check_weights, find, load
from nearfar.models.model_files import check_files

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

__all__ = ["load_cross_encoder", "without_library_notes"]

logger = logging.getLogger(__name__)


def load_cross_encoder(
    name: str | Path, *, device: str | None = None, new_head: bool = True, field: str | None = None
) -> CrossEncoder:
    """Load a cross-encoder in evaluation mode.

    A CrossEncoder of sentence-transformers, or a sequence classifier of transformers, is loaded as it is. A causal
    language model answers yes or no: its score is logit(yes) - logit(no) after the pair; for a prompt see
    `nearfar.models.yes_no_prompts.set_prompt`. An encoder gets a new classifier with one output, which must be trained;
    there is a warning.

    Args:
        name: A folder, a Hub ID, an alias or a `.gguf` file.
        device: Device of the model; by default sentence-transformers chooses.
        new_head: Whether an encoder may get a new classifier.
        field: The option with the model's name, for messages.

    Raises:
        InputError: The model does not exist, is of another kind, or cannot be loaded.
    """
    from sentence_transformers import CrossEncoder

    if is_gguf(name):
        return _language_model(find_language_model(name), device, field)
    folder = find(name)
    check_files(folder)
    kind = kind_of_folder(folder)
    if kind == "encoder" and new_head:
        logger.warning("%s is a text encoder: as a reranker it gets a new classifier, which must be trained", folder)
    else:
        kind = require_kind(folder, "reranker", "causal LM")
    if kind == "causal LM":
        return _language_model(LanguageFiles(str(name), folder, None), device, field)
    remedy = "pass a sentence-transformers CrossEncoder, a sequence classifier, or a causal language model"
    named = failures_named(folder, "a cross-encoder", remedy, field)
    with named, without_library_notes(), watched() as found:
        model = CrossEncoder(
            str(folder) if kind != "encoder" else str(_transformer_of(folder)),
            device=device,
            num_labels=1 if kind == "encoder" else None,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    if kind == "encoder":
        _check_beneath_head(found, folder)
    else:
        check_complete(found, model, folder)
    check_weights(model, folder)
    return model.eval()


def _language_model(files: LanguageFiles, device: str | None, field: str | None) -> CrossEncoder:
    """A causal language model that answers yes or no, as sentence-transformers makes it of some architectures."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.modules import LogitScore, Transformer

    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    weights: dict[str, Any] = {"use_safetensors": True}
    if files.gguf:
        check_gguf(files.gguf)
        options["gguf_file"], weights = files.gguf, unpacked()
    remedy = "pass a causal language model of transformers, with its tokenizer"
    named = failures_named(files.folder / (files.gguf or ""), "a language model", remedy, field)
    with named, without_library_notes(), watched() as found:
        transformer: Any = Transformer(
            str(files.folder),
            transformer_task="text-generation",
            model_kwargs={**options, **weights},
            processor_kwargs=dict(options),
            config_kwargs=dict(options),
        )
        yes, no = (transformer.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
        _check_answers(transformer.tokenizer, (yes, no), files.folder)
        if transformer.tokenizer.pad_token_id is None:  # padding is masked, so any token works
            transformer.tokenizer.pad_token = transformer.tokenizer.eos_token or "no"
        model = CrossEncoder(modules=[transformer, LogitScore(yes, no)], device=device)
    check_complete(found, model, files.folder)
    check_weights(model, files.folder)
    return model.eval()


def _check_beneath_head(found: Sequence[Loaded], folder: Path) -> None:
    """A new classifier is random, and so may be what the encoder itself does not need, such as a pooler."""
    for loaded in found:
        base = f"{loaded.model.base_model_prefix}."
        if any(name.startswith(base) for name in loaded.missing):
            load(folder, device="cpu")


def _transformer_of(folder: Path) -> Path:
    """The transformer inside a sentence-transformers folder."""
    inner = folder / "0_Transformer"
    return inner if inner.is_dir() else folder


def _check_answers(tokenizer: Any, answers: tuple[Any, Any], folder: Path) -> None:
    """Raise an InputError if "yes" and "no" are not different tokens: the score would always be 0."""
    tokens = set(answers)
    unknown = getattr(tokenizer, "unk_token_id", None)
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
