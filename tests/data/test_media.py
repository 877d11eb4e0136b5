"""Columns of files: checked when loaded, decoded when used."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path

import pytest
from datasets import Dataset, Features, Value
from datasets import Image as ImageFeature
from PIL import Image

from nearfar.data import load
from nearfar.data.media import Reader, decoded
from nearfar.errors import InputError


def png(path: Path, size: tuple[int, int] = (6, 4), colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def bomb_png(path: Path, width: int, height: int) -> Path:
    """A header that announces more pixels than the file contains."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


def test_paths_are_seen_from_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    png(tmp_path / "data" / "cats" / "a.png")
    (tmp_path / "data" / "rows.csv").write_text("image,text\ncats/a.png,a cat\n./cats/../cats/a.png,again\n")
    monkeypatch.chdir(tmp_path)
    rows = load("data/rows.csv")
    assert rows[0] == {"image": "data/cats/a.png", "text": "a cat"}
    opened = decoded(rows, Reader("image"))
    assert opened[1]["image"].size == (6, 4)
    assert rows[1]["image"] == "data/./cats/../cats/a.png"  # decoded when taken, not before
    absolute = tmp_path / "elsewhere.csv"
    absolute.write_text(f"image,label\n{tmp_path}/data/cats/a.png,cat\n")
    assert load(absolute)["image"][:] == [f"{tmp_path}/data/cats/a.png"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none.png", "no such file"),
        ("http://localhost/a.png", "is a URL"),
        ("data:image/png;base64,AAAA", "no such file"),
        (".", "not a regular file"),
        ("rows.csv", "not an image of a known format"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_broken_files_are_named(path: str, words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    png(tmp_path / "a.png")
    (tmp_path / "rows.csv").write_text(f'image,text\na.png,one\n"{path}",two\n')
    with pytest.raises(InputError, match=words) as caught:
        load(tmp_path / "rows.csv")
    assert caught.value.field == "image"
    assert "1 of 2 images" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        rows = load(tmp_path / "rows.csv", skip_broken=True)
    assert rows["text"][:] == ["one"]
    assert "skipped 1 of 2 images" in caplog.text


def test_all_broken_is_an_error_even_when_skipped(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("audio,text\nnone.wav,one\nother.wav,two\n")
    with pytest.raises(InputError, match=r"none\.wav: .*\b2 audio files"):
        load(tmp_path / "rows.csv", skip_broken=True)


def test_images_from_the_hub_are_decoded_with_limits(tmp_path: Path) -> None:
    features = Features({"image": ImageFeature(), "text": Value("string")})
    stream = io.BytesIO()
    Image.new("RGBA", (3, 2), (0, 0, 0, 0)).save(stream, "PNG")
    rows = Dataset.from_dict({"image": [{"bytes": stream.getvalue(), "path": None}], "text": ["a"]}, features=features)
    assert decoded(load(rows), Reader("image"))[0]["image"].getpixel((0, 0)) == (255, 255, 255)
    bomb = bomb_png(tmp_path / "bomb.png", 30_000, 30_000).read_bytes()
    rows = Dataset.from_dict({"image": [{"bytes": bomb, "path": "bomb.png"}], "text": ["a"]}, features=features)
    with pytest.raises(InputError, match=r"^bomb\.png: .*--skip-broken"):
        decoded(rows, Reader("image"))[0]
