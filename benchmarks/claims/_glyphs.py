"""Images with a common factor and a salient one: a handwritten digit with a glyph, and a photo with a digit."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from _data import located
from PIL import Image
from sklearn.datasets import load_digits

CANVAS, INTENSITY = 28, 0.6
TRAINED_ON, DIGITS_HELD_OUT, HELD_OUT = 2_000, 500, 1_500


@dataclass(frozen=True)
class Split:
    """Background rows first, then targets; labels of the targets' two factors.

    Args:
        images: Pixels from 0 to 1, (n, channels, height, width): background, targets, held-out targets.
        background: Number of background images.
        common, salient: Labels of the targets, those held out last.
        held_out: Number of held-out targets.
    """

    images: torch.Tensor
    background: int
    common: np.ndarray
    salient: np.ndarray
    held_out: int


def glyphs() -> np.ndarray:
    """Plus, X, square, ring and triangle, (5, 9, 9)."""
    y, x = np.mgrid[0:9, 0:9] - 4
    plus = (abs(y) <= 0.5) | (abs(x) <= 0.5)
    cross = (abs(y - x) <= 0.5) | (abs(y + x) <= 0.5)
    square = np.maximum(abs(y), abs(x)) >= 3.5
    ring = abs(np.hypot(y, x) - 3.5) <= 0.6
    triangle = (abs(y - 4) <= 0.5) | (abs(abs(x) - (y + 4) / 2) <= 0.5)
    return np.stack([plus, cross, square, ring, triangle]).astype(float)


@cache
def digits_with_glyphs(seed: int) -> Split:
    """A digit at a random place; targets have one of five glyphs at another. Digits of training are not held out."""
    rng = np.random.default_rng(seed)
    data = load_digits()
    order = rng.permutation(len(data.images))
    parts = (order[DIGITS_HELD_OUT:], TRAINED_ON), (order[DIGITS_HELD_OUT:], TRAINED_ON)
    images, common, salient = [], [], []
    for number, (digits, count) in enumerate((*parts, (order[:DIGITS_HELD_OUT], HELD_OUT))):
        for row in rng.choice(digits, count):
            image = np.zeros((CANVAS, CANVAS))
            _add(image, np.kron(data.images[row] / 16, np.ones((2, 2))), rng)
            if number:
                kind = int(rng.integers(5))
                _add(image, glyphs()[kind], rng)
                common.append(int(data.target[row]))
                salient.append(kind)
            images.append(image)
    pixels = torch.from_numpy(np.stack(images)).float().clamp(0, 1)[:, None]
    return Split(pixels, TRAINED_ON, np.asarray(common), np.asarray(salient), HELD_OUT)


@cache
def photos_with_digits(seed: int, count: int = 5_000) -> Split:
    """CIFAR-10 at half intensity; targets have a digit of MNIST over it. Held-out photos and digits are others."""
    rng = np.random.default_rng(seed)
    photos, names = _photos()
    with np.load(located("mnist_t10k", "mnist-t10k.npz")) as file:
        digits, labels = np.pad(file["image"] / 255, ((0, 0), (2, 2), (2, 2))), file["label"].astype(int)
    chosen, drawn = rng.permutation(len(photos))[: 2 * count + HELD_OUT], rng.permutation(len(digits))
    images = photos[chosen] / 2
    # Targets in training use the first digits, those held out the last.
    numbers = np.concatenate([rng.choice(drawn[HELD_OUT:], count), rng.choice(drawn[:HELD_OUT], HELD_OUT)])
    images[count:] += digits[numbers][:, None] / 2
    return Split(torch.from_numpy(images).float(), count, names[chosen[count:]], labels[numbers], HELD_OUT)


@cache
def _photos() -> tuple[np.ndarray, np.ndarray]:
    with zipfile.ZipFile(located("cifar10", "cifar10.zip")) as archive:
        files = sorted(archive.namelist())
        images = [np.asarray(Image.open(io.BytesIO(archive.read(file))).convert("RGB")) for file in files]
    labels = np.unique([file.split("/")[1] for file in files], return_inverse=True)[1]
    return np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 255, labels


def _add(image: np.ndarray, part: np.ndarray, rng: np.random.Generator) -> None:
    height, width = part.shape
    y, x = rng.integers(0, CANVAS - height + 1), rng.integers(0, CANVAS - width + 1)
    image[y : y + height, x : x + width] += INTENSITY * part
