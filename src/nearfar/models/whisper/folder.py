"""A packaged Whisper as a folder of transformers, which is made once and kept in the user's cache."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from nearfar.errors import InputError
from nearfar.models.aliases import SPEECH, alias_folder
from nearfar.models.cache import user_cache
from nearfar.models.model_files import json_object
from nearfar.models.whisper.ctranslate2 import read_variables
from nearfar.models.whisper.weights import TINY, Shape, whisper_weights
from nearfar.writing import file_claimed, replace_folder, write_text

__all__ = ["convert", "whisper_folder"]

# Tokens of the English models: the end of a text, its start, and the mark for a transcript without times.
_END, _START, _WITHOUT_TIMES = 50256, 50257, 50362
#: Changes with what is written, so that folders of earlier versions are not used.
_FORMAT = 1
#: Seconds to wait for another process that converts the same model; it takes less than ten.
_WAIT = 300.0
_REMEDY = "install the package again"


def whisper_folder(alias: str = "whisper-tiny") -> Path:
    """The folder of a packaged Whisper, with weights, log-mel features, tokenizer and settings for generation.

    `WhisperForConditionalGeneration.from_pretrained` and `WhisperProcessor.from_pretrained` load it. The package is
    needed only for the first call.

    Args:
        alias: A key of `nearfar.models.aliases.SPEECH`.

    Raises:
        InputError: The package is not installed, its files are not the published ones, or the cache is not writable.
    """
    folder = user_cache() / "models" / f"{alias}-{SPEECH[alias].sha256[:12]}-{_FORMAT}"
    if _is_valid(folder):
        return folder
    source = alias_folder(alias, "audio_model")
    with file_claimed(folder, "NEARFAR_CACHE", wait=_WAIT):
        if not _is_valid(folder):
            replace_folder(folder, partial(convert, source / SPEECH[alias].weights, shape=TINY))
    return folder


def convert(weights: Path, folder: Path, *, shape: Shape) -> None:
    """Write the weights of a Whisper as a folder of transformers, as float32.

    Args:
        weights: The weights in CTranslate2's format, beside the `tokenizer.json` and `config.json` of the model.
        folder: The folder to write; it must not exist.
        shape: The shape of the model.

    Raises:
        InputError: A file of the model is invalid.
    """
    from safetensors.torch import save_file
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor

    tensors = whisper_weights(read_variables(weights), shape, weights)
    tokenizer = _checked_tokenizer(weights.with_name("tokenizer.json"))
    tokens = {
        "decoder_start_token_id": _START,
        "bos_token_id": _START,
        "eos_token_id": _END,
        "pad_token_id": _END,
        **_suppressed(weights.with_name("config.json"), shape.vocabulary),
    }
    config = WhisperConfig(
        architectures=["WhisperForConditionalGeneration"],
        dtype="float32",
        vocab_size=shape.vocabulary,
        num_mel_bins=shape.mels,
        d_model=shape.width,
        encoder_layers=shape.layers,
        decoder_layers=shape.layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.feed_forward,
        decoder_ffn_dim=shape.feed_forward,
        max_source_positions=shape.frames,
        max_target_positions=shape.positions,
        **{name: token for name, token in tokens.items() if name.endswith("_id")},
    )
    generation = GenerationConfig(
        max_length=shape.positions, no_timestamps_token_id=_WITHOUT_TIMES, is_multilingual=False, **tokens
    )
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    generation.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=shape.mels).save_pretrained(folder)
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    settings = {f"{name}_token": "<|endoftext|>" for name in ("bos", "eos", "unk", "pad")}
    settings |= {"tokenizer_class": "WhisperTokenizer", "model_max_length": shape.positions}
    write_text(json.dumps(settings, indent=2) + "\n", folder / "tokenizer_config.json")


def _is_valid(folder: Path) -> bool:
    """Whether a folder was written, and its weights are whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "model.safetensors", framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def _checked_tokenizer(file: Path) -> Path:
    """The file of a tokenizer, after its special tokens have been checked.

    Raises:
        InputError: It is not the tokenizer of an English Whisper.
    """
    from tokenizers import Tokenizer

    special = {"<|endoftext|>": _END, "<|startoftranscript|>": _START, "<|notimestamps|>": _WITHOUT_TIMES}
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more specific
        raise InputError("cannot be read as a tokenizer", file=file, remedy=_REMEDY) from error
    found = {token: tokenizer.token_to_id(token) for token in special}
    if found != special:
        raise InputError(f"expected the special tokens {special}, got {found}", file=file, remedy=_REMEDY)
    return file


def _suppressed(file: Path, vocabulary: int) -> dict[str, Any]:
    """The tokens that are never generated, and those that do not begin a transcript, by the names of transformers.

    Raises:
        InputError: The file does not contain lists of tokens.
    """
    settings = json_object(file)
    found: dict[str, Any] = {}
    for own, name in (("suppress_ids", "suppress_tokens"), ("suppress_ids_begin", "begin_suppress_tokens")):
        tokens = settings.get(own)
        if not isinstance(tokens, list) or not all(type(each) is int and 0 <= each < vocabulary for each in tokens):
            raise InputError(f"expected a list of tokens below {vocabulary:,}", file=file, field=own, remedy=_REMEDY)
        found[name] = tokens
    return found
