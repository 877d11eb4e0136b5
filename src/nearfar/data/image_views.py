"""Weak and strong views of images: random crops, colours, blur.

Operations and distributions are those of `torchvision.transforms.v2`, which calls Pillow for Pillow images (its blur
aside), as this module does. torchvision is not used: its Linux package on PyPI requires the CUDA build of torch, and
with a CPU build it cannot be imported. A view depends on the random generator that is passed, and on no global state.

Source: Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations (SimCLR).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

#: Range of width / height of a crop, before it is resized to a square.
RATIO = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class ImageViews:
    """Views of RGB images, as squares of `size` pixels.

    Args:
        size: Width and height of a view in pixels.
        weak_scale: A weak view is a random crop of at least this fraction of the area.
        strong_scale: The same for a strong view, which is also flipped, and changed in colour and sharpness.
        flip: Probability that a strong view is mirrored; 0 for digits or letters.
        jitter: Probability of a random brightness, contrast, saturation (each between 0.6 and 1.4 times) and hue (up to
            a tenth of the circle), in random order.
        grey: Probability of a grey image.
        blur: Probability of a Gaussian blur with a standard deviation between 0.1 and 2 pixels.
    """

    size: int
    weak_scale: float = 0.5
    strong_scale: float = 0.08
    flip: float = 0.5
    jitter: float = 0.8
    grey: float = 0.2
    blur: float = 0.5

    def weak(self, image: Image, rng: random.Random) -> Image:
        """A random crop."""
        return random_resized_crop(image, self.size, self.weak_scale, rng)

    def strong(self, image: Image, rng: random.Random) -> Image:
        """A smaller random crop with other colours."""
        from PIL import ImageFilter, ImageOps

        image = random_resized_crop(image, self.size, self.strong_scale, rng)
        if rng.random() < self.jitter:
            image = colour_jitter(image, rng)
        if rng.random() < self.grey:
            image = image.convert("L").convert("RGB")
        if rng.random() < self.blur:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 2)))
        return ImageOps.mirror(image) if rng.random() < self.flip else image


def random_resized_crop(image: Image, size: int, least: float, rng: random.Random) -> Image:
    """A random part of an image, resized to a square.

    Args:
        image: The image.
        size: Width and height of the result in pixels.
        least: Minimum fraction of the area; the fraction is uniform between this and 1, the logarithm of width / height
            uniform over `RATIO`.
        rng: Source of randomness.
    """
    from PIL.Image import Resampling

    box = (0, 0, image.width, image.height)
    # Where ten attempts do not fit into the image, the whole of it is used.
    for _ in range(10):
        area = image.width * image.height * rng.uniform(least, 1)
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= image.width and 0 < height <= image.height:
            left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
            box = (left, top, left + width, top + height)
            break
    return image.crop(box).resize((size, size), Resampling.BILINEAR)


def colour_jitter(image: Image, rng: random.Random) -> Image:
    """Random brightness, contrast, saturation and hue, in random order."""
    from PIL import ImageEnhance

    steps = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color, None]
    rng.shuffle(steps)
    for step in steps:
        image = _turned(image, rng.uniform(-0.1, 0.1)) if step is None else step(image).enhance(rng.uniform(0.6, 1.4))
    return image


def _turned(image: Image, turns: float) -> Image:
    """An image whose hues are turned, in fractions of the circle."""
    from PIL import Image as Images

    hue, saturation, value = image.convert("HSV").split()
    shift = int(turns * 255)
    table = [(before + shift) % 256 for before in range(256)]
    return Images.merge("HSV", (hue.point(table), saturation, value)).convert("RGB")
