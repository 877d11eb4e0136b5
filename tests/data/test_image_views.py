"""Views of images: their size, how they differ, and that the random generator decides everything."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from nearfar.data.image_views import ImageViews, colour_jitter, random_resized_crop


def image_of(width: int = 40, height: int = 30) -> Image.Image:
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 250, width)[None, :]
    pixels[..., 1] = np.linspace(0, 250, height)[:, None]
    return Image.fromarray(pixels)


def array(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=float)


def test_the_generator_decides_the_view() -> None:
    views = ImageViews(16)
    for make in (views.weak, views.strong):
        first, again, other = (array(make(image_of(), random.Random(seed))) for seed in ("1", "1", "2"))
        assert first.shape == (16, 16, 3)
        assert (first == again).all()
        assert (first != other).any()


def test_a_crop_has_at_least_the_least_area() -> None:
    for seed in range(30):
        for least in (0.08, 0.5, 1.0):
            found = array(random_resized_crop(image_of(400, 300), 32, least, random.Random(seed)))
            width, height = (np.ptp(found[..., channel]) / 250 for channel in (0, 1))
            assert width * height > 0.8 * least


def test_strong_crops_are_smaller_than_weak_ones() -> None:
    views = ImageViews(32, jitter=0, grey=0, blur=0, flip=0)

    def area(make) -> float:
        found = [array(make(image_of(400, 300), random.Random(seed))) for seed in range(60)]
        return float(np.mean([np.ptp(each[..., 0]) * np.ptp(each[..., 1]) / 250**2 for each in found]))

    assert area(views.strong) < 0.8 * area(views.weak)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_mirrored_with_its_probability(flip: float) -> None:
    views = ImageViews(16, strong_scale=1.0, jitter=0, grey=0, blur=0, flip=flip)
    found = array(views.strong(image_of(30, 30), random.Random(0)))
    assert (found[0, -1, 0] > found[0, 0, 0]) == (flip == 0)


def test_grey_and_blurred() -> None:
    options = {"strong_scale": 1.0, "jitter": 0.0, "flip": 0.0}
    grey = array(ImageViews(16, grey=1, blur=0, **options).strong(image_of(), random.Random(0)))
    assert (grey[..., 0] == grey[..., 1]).all()
    dots = Image.fromarray((np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)).convert("RGB")
    sharp, blurred = (
        array(ImageViews(32, grey=0, blur=blur, **options).strong(dots, random.Random(4))).std() for blur in (0, 1)
    )
    assert blurred < 0.6 * sharp


def test_jitter_changes_colours_and_keeps_the_size() -> None:
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    found = {colour_jitter(image, random.Random(seed)).getpixel((3, 3)) for seed in range(20)}
    assert len(found) > 10
    assert colour_jitter(image, random.Random(0)).size == (8, 8)


def test_a_very_narrow_image_is_used_as_a_whole() -> None:
    found = random_resized_crop(image_of(400, 2), 8, 0.9, random.Random(0))
    assert np.ptp(array(found)[..., 0]) > 200
