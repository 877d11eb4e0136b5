"""Reading image files that nobody vouches for: only safe formats, limited size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

#: Maximum size of an image in pixels: 64 million pixels take 192 MB once decoded.
MAX_PIXELS = 64_000_000
#: The only formats that are read; Pillow knows others that call external programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


def read_image(file: Path | IO[bytes]) -> Image:
    """Decode an image to RGB, upright. Transparent pixels become white; of an animation the first frame is used.

    Raises:
        ValueError: The file is not an image, is truncated, too large, or has another format. The message is short.
    """
    from PIL import Image, ImageOps

    with _opened(file) as image, _short_errors():
        image.load()
        upright = ImageOps.exif_transpose(image) or image
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        layers = upright.convert("RGBA")
        background = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(background, layers).convert("RGB")


def check_image(file: Path | IO[bytes]) -> None:
    """Check the header of an image without decoding it.

    Raises:
        ValueError: As for `read_image`.
    """
    _opened(file).close()


def _opened(file: Path | IO[bytes]) -> Image:
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("images require Pillow", remedy='pip install "nearfar[vision]"') from error

    with _short_errors(), warnings.catch_warnings():
        # Pillow only warns at its own limit, and ours is lower.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(file, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise ValueError(f"is too large: {image.width} x {image.height} pixels, the maximum is {MAX_PIXELS:,}")
    return image


@contextmanager
def _short_errors() -> Iterator[None]:
    """Turn Pillow's many exceptions into a ValueError with a short message."""
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError

    try:
        yield
    except UnidentifiedImageError as error:
        raise ValueError(f"is not an image of a known format ({', '.join(FORMATS)})") from error
    except DecompressionBombError as error:
        raise ValueError("is too large an image") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ValueError(f"cannot be read: {error.strerror}") from error
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"is a corrupted image ({first:.80})") from error
