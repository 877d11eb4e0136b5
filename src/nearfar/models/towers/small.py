"""Small towers for training from scratch: transformers architectures of a size for a few thousand examples.

They are plain transformers configurations, so a saved model loads without nearfar.

    small-cnn    ResNet, four stages with one block each; images
    small-vit    Vision Transformer, four layers; images
    small-audio  Whisper's encoder (log-mel, two convolutions, transformer), two layers; audio

Source: He et al. 2016; Dosovitskiy et al. 2021; Radford et al. 2023.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers.base.modules import Transformer

#: Sampling rate of `small-audio`, and samples per window: half as many windows as in Whisper.
SAMPLING_RATE, HOP = 16_000, 320


def small_cnn(*, image_size: int = 64, **_: Any) -> Transformer:
    """A ResNet with 1.2 million weights for images of `image_size` x `image_size` pixels, with 256-d vectors."""
    from transformers import ResNetConfig, ResNetModel

    _check_size(image_size)
    config = ResNetConfig(
        embedding_size=32, hidden_sizes=[32, 64, 128, 256], depths=[1, 1, 1, 1], layer_type="basic", hidden_act="relu"
    )
    return as_module(ResNetModel(config), _pixels(image_size))


def small_vit(*, image_size: int = 64, **_: Any) -> Transformer:
    """A Vision Transformer over 64 patches, with 192-dimensional vectors."""
    from transformers import ViTConfig, ViTModel

    _check_size(image_size)
    config = ViTConfig(
        image_size=image_size,
        patch_size=image_size // 8,
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=384,
    )
    return as_module(ViTModel(config), _pixels(image_size))


def small_audio(*, seconds: int = 4, **_: Any) -> Transformer:
    """Whisper's encoder with two layers for the first `seconds` seconds of audio, with 128-dimensional vectors."""
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    if not 1 <= seconds <= 30:
        raise InputError(f"invalid value {seconds}", field="seconds", remedy="use 1 to 30")
    config = WhisperConfig(
        d_model=128,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=256,
        decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=256,
        num_mel_bins=64,
        max_source_positions=seconds * SAMPLING_RATE // HOP // 2,
    )
    ears = WhisperFeatureExtractor(feature_size=64, sampling_rate=SAMPLING_RATE, hop_length=HOP, chunk_length=seconds)
    return as_module(WhisperEncoder(config), ears)


SMALL: dict[str, dict[str, Callable[..., Transformer]]] = {
    "image": {"small-cnn": small_cnn, "small-vit": small_vit},
    "audio": {"small-audio": small_audio},
}


def _check_size(image_size: int) -> None:
    if not 16 <= image_size <= 512 or image_size % 8:
        problem = f"invalid value {image_size}: must be a multiple of 8 from 16 to 512"
        raise InputError(problem, field="image_size", remedy="use a multiple of 8 from 16 to 512")


def _pixels(size: int) -> Any:
    # By its own name: the general class warns at every call that torchvision is missing.
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    return ViTImageProcessorPil(size={"height": size, "width": size})


def as_module(network: Any, processor: Any, **settings: Any) -> Transformer:
    """A sentence-transformers module for a network in memory, which the library only creates for a folder.

    Args:
        network: A model of transformers.
        processor: What makes its inputs.
        **settings: Arguments of `Transformer`.
    """
    from sentence_transformers.base.modules import Transformer

    from nearfar.models.load_failures import without_progress_bar

    # With several processes, transformers writes in the first one alone; here each makes a tower of its own.
    network.should_save_on_this_rank = lambda *_: True
    with tempfile.TemporaryDirectory() as folder, without_progress_bar():
        network.save_pretrained(folder)
        processor.save_pretrained(folder)
        return Transformer(folder, **settings)
