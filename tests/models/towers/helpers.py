"""Small models with two towers, and what they encode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sentence_transformers import SentenceTransformer

from nearfar.models.towers import two_towers

TEXTS = ["the cat sits on the mat", "a red fish"]


def images(count: int = 3) -> list[Image.Image]:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 20, 30, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in pixels]


def audio_clips(count: int = 3) -> list[dict]:
    rng = np.random.default_rng(0)
    return [{"array": rng.normal(0, 0.1, 5000 + i).astype(np.float32), "sampling_rate": 16_000} for i in range(count)]


def towers_for(medium: str, text: Path, **options) -> tuple[SentenceTransformer, list]:
    name = {"image": "small-cnn", "audio": "small-audio"}[medium]
    model = two_towers(text, **{medium: name}, image_size=32, seconds=1, device="cpu", **options)
    return model, images() if medium == "image" else audio_clips()
