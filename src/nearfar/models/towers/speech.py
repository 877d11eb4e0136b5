"""Pre-trained towers for speech."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfar.errors import InputError
from nearfar.models.towers.small import as_module

__all__ = ["whisper_tower"]

_ENCODER = "model.encoder."
_POSITIONS = f"{_ENCODER}embed_positions.weight"


def whisper_tower(folder: Path, *, seconds: int) -> list[Any]:
    """The encoder of a Whisper, and the mean of its last states over the frames of the audio, without the padding.

    The encoder has positions for the first `seconds` seconds only, and audio is truncated or padded with silence to
    this length, instead of to 30 seconds. The states differ from those of the whole model, which sees more silence, but
    cost a fraction of the time. With `seconds=30` they are the states of the whole model.

    Measured on 480 spoken digits of 0.5 s on average: a logistic classifier trained on three speakers has an accuracy
    of 0.98, 0.99 and 0.98 on two others with 1, 4 and 30 seconds, at 10, 44 and 745 ms per file on one core. The mean
    over all states, padding included, has 0.96, 0.98 and 0.77.

    Args:
        folder: A transformers folder of a whole Whisper.
        seconds: Seconds of audio that are used, from the beginning of each file.

    Raises:
        InputError: `seconds` is out of range.
    """
    from safetensors import safe_open
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    from nearfar.models.frames import RealFrames

    ears = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
    if not 1 <= seconds <= ears.chunk_length:
        problem = f"invalid value {seconds}: must be 1 to {ears.chunk_length}"
        raise InputError(problem, field="seconds", remedy=f"use 1 to {ears.chunk_length}")
    config: Any = WhisperConfig.from_pretrained(folder, local_files_only=True)
    config.max_source_positions = config.max_source_positions * seconds // ears.chunk_length
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        names = [name for name in weights.keys() if name.startswith(_ENCODER)]  # noqa: SIM118 - no dictionary
        tensors = {name: weights.get_tensor(name) for name in names}
    tensors[_POSITIONS] = tensors[_POSITIONS][: config.max_source_positions].clone()
    encoder = WhisperEncoder(config)
    encoder.load_state_dict({name.removeprefix(_ENCODER): tensor for name, tensor in tensors.items()})
    ears = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True, chunk_length=seconds)
    module = as_module(encoder, ears, processing_kwargs={"audio": {"return_attention_mask": True}})
    return [module, RealFrames(), Pooling(module.get_embedding_dimension(), "mean")]
