"""Towers by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.errors import InputError
from nearfar.models.towers import two_towers
from nearfar.models.towers.reading import reader_for
from towers.helpers import audio_clips, images


def test_vit_and_clip_by_folder(tiny_model_folder: Path, tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    vit = two_towers(tiny_model_folder, image="small-vit", image_size=16, device="cpu")
    assert vit.encode(images(), task="image").shape == (3, 32)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"vocab_size": 20, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = CLIPConfig(
        vision_config={**small, "image_size": 16, "patch_size": 8}, text_config={**small, **ids}, projection_dim=12
    )
    CLIPModel(config).save_pretrained(tmp_path / "clip")
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16).save_pretrained(tmp_path / "clip")
    clip = two_towers(tiny_model_folder, image=tmp_path / "clip", frozen="image", device="cpu")
    assert clip.encode(images(), task="image").shape == (3, 12)
    again = two_towers(tiny_model_folder, image=clip, device="cpu")  # a tower out of a model with two
    assert again.encode(images(), task="image").shape == (3, 32)


def test_whisper_by_folder(tiny_model_folder: Path, tmp_path: Path) -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    small = {"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 8}
    small |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "vocab_size": 20}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = WhisperConfig(d_model=16, num_mel_bins=20, max_source_positions=100, **small, **ids)
    WhisperModel(config).save_pretrained(tmp_path / "whisper")
    WhisperFeatureExtractor(feature_size=20, chunk_length=2).save_pretrained(tmp_path / "whisper")
    model = two_towers(tiny_model_folder, audio=tmp_path / "whisper", device="cpu")
    assert model.encode(audio_clips(), task="audio").shape == (3, 32)
    assert not any("decoder" in name for name in model.state_dict())
    reader = reader_for(model, "audio")
    assert (reader.rate, reader.seconds) == (16_000, 2)
    with pytest.raises(InputError, match=r"^image: .*texts and audio"):
        reader_for(model, "image")


def test_pickled_weights_are_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(InputError, match="pickled"):
        two_towers(tiny_model_folder, image=tmp_path, device="cpu")
