"""Pictures out of files that nobody vouches for."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

#: Pixels of the largest picture that is read: 64 million take 192 MB once they are decoded.
MAX_PIXELS = 64_000_000
#: What is read at all; Pillow knows formats that call other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


def read_picture(file: Path | IO[bytes]) -> Image:
    """A picture in RGB, turned upright; what is transparent becomes white, and of an animation it is the first frame.

    Raises:
        ValueError: it is no picture, cut short, of another format or too large; the text says so in a few words.
    """
    from PIL import Image, ImageOps

    with _opened(file) as picture, _in_words():
        picture.load()
        upright = ImageOps.exif_transpose(picture) or picture
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        layers = upright.convert("RGBA")
        paper = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(paper, layers).convert("RGB")


def check_picture(file: Path | IO[bytes]) -> None:
    """Look at the head of a picture alone.

    Raises:
        ValueError: see `read_picture`.
    """
    _opened(file).close()


def _opened(file: Path | IO[bytes]) -> Image:
    import warnings

    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("pictures need Pillow", remedy='pip install "nearfar[vision]"') from error

    with _in_words(), warnings.catch_warnings():
        # Pillow's own limit is a warning, and ours is lower.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = Image.open(file, formats=FORMATS)
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        raise ValueError(f"is {picture.width} x {picture.height} pixels large, and {MAX_PIXELS:,} in all are read")
    return picture


class _in_words:  # noqa: N801 - used as a function
    """Pillow's many exceptions as one with a short text."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from PIL import UnidentifiedImageError
        from PIL.Image import DecompressionBombError

        if isinstance(error, UnidentifiedImageError):
            raise ValueError(f"is no picture of a known format ({', '.join(FORMATS)})") from error
        if isinstance(error, DecompressionBombError):
            raise ValueError("is far too large a picture") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise ValueError(f"cannot be read: {error.strerror}") from error
        if isinstance(error, Exception):
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"is a damaged picture ({first:.80})") from error
