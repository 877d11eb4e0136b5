"""Image files that nobody vouches for."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from nearfar.data.images import check_image, read_image


def bomb_png(path: Path, width: int, height: int) -> Path:
    """A header that announces more pixels than the file contains."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


def test_transparency_orientation_and_animation(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    wide = Image.new("L", (8, 2))
    turned = wide.getexif()
    turned[0x0112] = 6  # a quarter to the right
    wide.save(tmp_path / "turned.jpg", exif=turned)
    assert read_image(tmp_path / "turned.jpg").size == (2, 8)
    first, second = Image.new("RGB", (3, 3), "red"), Image.new("RGB", (3, 3), "blue")
    first.save(tmp_path / "two.gif", save_all=True, append_images=[second])
    assert read_image(tmp_path / "two.gif").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(("width", "height"), [(9000, 8000), (40_000, 40_000), (2_000_000, 2)])
def test_bombs_are_not_opened(width: int, height: int, tmp_path: Path) -> None:
    bomb = bomb_png(tmp_path / "bomb.png", width, height)
    for look in (check_image, read_image):
        if width * height < 64_000_000:
            continue
        with pytest.raises(ValueError, match="too large"):
            look(bomb)
    with pytest.raises(ValueError, match=r"large|corrupted"):
        read_image(bomb)


def test_formats_that_call_other_programs_are_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(ValueError, match="known format"):
        read_image(file)
