"""Small towers for training from scratch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models.towers.small import SMALL, small_audio, small_cnn, small_vit
from towers.helpers import audio_clips, images


@pytest.mark.parametrize(("name", "width"), [("small-cnn", 256), ("small-vit", 192)])
@pytest.mark.parametrize("size", [16, 32])
def test_images_of_one_size(name: str, width: int, size: int) -> None:
    module = SMALL["image"][name](image_size=size, seconds=1)
    assert module.get_embedding_dimension() == width
    pixels = module.preprocess(images())["pixel_values"]
    assert pixels.shape == (3, 3, size, size)
    if name == "small-vit":
        with torch.no_grad():
            assert module.auto_model(pixels).last_hidden_state.shape == (3, 1 + 64, width)  # [CLS] and the patches


@pytest.mark.parametrize("seconds", [1, 2])
def test_audio_of_one_length(seconds: int) -> None:
    module = small_audio(seconds=seconds, image_size=16)
    assert module.get_embedding_dimension() == 128
    features = module.preprocess(audio_clips())["input_features"]
    assert features.shape == (3, 64, seconds * 50)  # 16,000 / 320 windows a second
    with torch.no_grad():
        assert module.auto_model(features).last_hidden_state.shape == (3, seconds * 25, 128)


def test_weights_are_random_and_saved_without_nearfar(tmp_path: Path) -> None:
    torch.manual_seed(0)
    one, two = small_cnn(image_size=16), small_cnn(image_size=16)
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    SentenceTransformer(modules=[one], device="cpu").save_pretrained(str(tmp_path))
    again = SentenceTransformer(str(tmp_path), device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again[0].parameters(), strict=True))


@pytest.mark.parametrize("size", [0, 8, 20, 520])
def test_sizes_that_no_stage_divides(size: int) -> None:
    for build in (small_cnn, small_vit):
        with pytest.raises(InputError, match=rf"^image_size: .* {size}\b"):
            build(image_size=size)


@pytest.mark.parametrize("seconds", [0, 31])
def test_lengths_out_of_range(seconds: int) -> None:
    with pytest.raises(InputError, match=rf"^seconds: .* {seconds}\b"):
        small_audio(seconds=seconds)
