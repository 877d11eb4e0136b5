"""Random views of a batch."""

from __future__ import annotations

import torch

from nearfar.models.augmentation import BANDS, augmented


def test_images_are_moved_each_in_its_own_way_and_keep_their_shape() -> None:
    images = torch.zeros(4, 3, 16, 16)
    images[:, :, 6:10, 6:10] = 1
    torch.manual_seed(0)
    first = augmented({"pixel_values": images, "task": "salient"})
    assert first["task"] == "salient"
    assert first["pixel_values"].shape == images.shape
    centres = (first["pixel_values"].clamp(min=0.3) - 0.3).sum((1, 2)).argmax(1)
    assert len(set(centres.tolist())) > 1
    torch.manual_seed(0)
    assert torch.equal(first["pixel_values"], augmented({"pixel_values": images})["pixel_values"])
    assert images.sum() == 4 * 3 * 16


def test_audio_loses_a_band() -> None:
    audio = torch.randn(2, 40, 30, generator=torch.Generator().manual_seed(0)) + 5
    torch.manual_seed(0)
    found = augmented({"input_features": audio})["input_features"]
    assert found.shape == audio.shape
    flat = found.std(2) < 0.2
    assert (flat.sum(1) == int(BANDS * 40)).all()


def test_texts_are_unchanged() -> None:
    features = {"input_ids": torch.ones(2, 3), "attention_mask": torch.ones(2, 3)}
    assert augmented(features) is features
