from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datasets import Dataset, Features, Value
from datasets import Image as ImageFeature
from PIL import Image

from nearfar.data import load
from nearfar.data.labels import in_words
from nearfar.data.media import Reader, decoded
from nearfar.data.overlap import seen_in_training
from nearfar.data.images import check_image, read_image
from nearfar.data.audio import MAX_SECONDS, check_audio, read_audio
from nearfar.errors import InputError


def png(path: Path, size: tuple[int, int] = (6, 4), colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def wav(path: Path, samples: np.ndarray, rate: int = 8000, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def huge_png(path: Path, width: int, height: int) -> Path:
    """A head that promises more pixels than the file could ever hold."""

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
    bomb = huge_png(tmp_path / "bomb.png", width, height)
    for look in (check_image, read_image):
        if width * height < 64_000_000:
            continue
        with pytest.raises(ValueError, match=r"pixels large|far too large"):
            look(bomb)
    with pytest.raises(ValueError, match=r"large|damaged"):
        read_image(bomb)


def test_formats_that_call_other_programs_are_unknown(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(ValueError, match="known format"):
        read_image(file)


def test_recordings_become_mono_at_the_rate_asked_for(tmp_path: Path) -> None:
    second = np.stack([np.full(8000, 0.5), np.full(8000, -0.1)], axis=1)
    sound = read_audio(wav(tmp_path / "a.flac", second), 16_000)
    assert sound.shape == (16_000,)
    assert sound.dtype == np.float32
    assert sound[8000] == pytest.approx(0.2, abs=1e-3)
    assert read_audio(tmp_path / "a.flac", 8000, 0.25).shape == (2000,)
    tone = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    spectrum = np.abs(np.fft.rfft(read_audio(wav(tmp_path / "b.wav", tone, 44_100), 16_000)))
    assert spectrum.argmax() == 440
    long = wav(tmp_path / "long.wav", np.zeros((MAX_SECONDS + 5) * 1000), 1000)
    assert len(read_audio(long, 1000)) == MAX_SECONDS * 1000


def test_broken_recordings_say_why(tmp_path: Path) -> None:
    whole = wav(tmp_path / "whole.flac", np.random.default_rng(0).normal(0, 0.1, 8000)).read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    check_audio(tmp_path / "cut.flac")  # its head is sound
    (tmp_path / "text.wav").write_text("no sound")
    wav(tmp_path / "empty.wav", np.zeros(0))
    wav(tmp_path / "nan.wav", np.full(10, np.nan), subtype="FLOAT")
    wav(tmp_path / "slow.wav", np.zeros(10), 10)
    expected = {"cut.flac": "no sound rec", "text.wav": "no sound rec", "empty.wav": "holds no sound"}
    for name, words in {**expected, "nan.wav": "NaN", "slow.wav": "10 samples a second"}.items():
        with pytest.raises(ValueError, match=words):
            read_audio(tmp_path / name, 16_000)


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


def test_a_folder_a_label(tmp_path: Path) -> None:
    for name in ("big_dogs/1.png", "big_dogs/2.JPG", "catsOnly/x.webp", "catsOnly/notes.txt", "catsOnly/.hidden.png"):
        png(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).write_text("no picture")
    rows = load(tmp_path)
    assert rows["label"][:] == ["big_dogs", "big_dogs", "catsOnly"]
    assert rows["text"][:] == ["big dogs", "big dogs", "cats only"]
    for split in ("train", "test"):
        wav(tmp_path / "sounds" / split / "on" / f"{split}.wav", np.ones(100))
        wav(tmp_path / "sounds" / split / "off" / f"{split}.wav", np.ones(100))
    assert load(tmp_path / "sounds", split="test")["audio"][:] == [
        f"{tmp_path}/sounds/test/{name}/test.wav" for name in ("off", "on")
    ]
    png(tmp_path / "sounds" / "test" / "on" / "odd.png")
    with pytest.raises(InputError, match="pictures and recordings"):
        load(tmp_path / "sounds", split="test")
    png(tmp_path / "one" / "only" / "a.png")
    with pytest.raises(InputError, match="one folder"):
        load(tmp_path / "one")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none.png", "no such file"),
        ("http://localhost/a.png", "an address"),
        ("data:image/png;base64,AAAA", "no such file"),
        (".", "no regular file"),
        ("rows.csv", "no picture of a known format"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_broken_files_are_named(path: str, words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    png(tmp_path / "a.png")
    (tmp_path / "rows.csv").write_text(f'image,text\na.png,one\n"{path}",two\n')
    with pytest.raises(InputError, match=words) as caught:
        load(tmp_path / "rows.csv")
    assert caught.value.field == "image"
    assert "1 of 2 pictures" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        rows = load(tmp_path / "rows.csv", skip_broken=True)
    assert rows["text"][:] == ["one"]
    assert "1 of 2 pictures are broken and left out" in caplog.text


def test_all_broken_is_an_error_even_when_skipped(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("audio,text\nnone.wav,one\nother.wav,two\n")
    with pytest.raises(InputError, match="all 2 recordings are broken"):
        load(tmp_path / "rows.csv", skip_broken=True)


def test_what_the_hub_holds_is_decoded_by_us(tmp_path: Path) -> None:
    features = Features({"image": ImageFeature(), "text": Value("string")})
    stream = io.BytesIO()
    Image.new("RGBA", (3, 2), (0, 0, 0, 0)).save(stream, "PNG")
    rows = Dataset.from_dict({"image": [{"bytes": stream.getvalue(), "path": None}], "text": ["a"]}, features=features)
    assert decoded(load(rows), Reader("image"))[0]["image"].getpixel((0, 0)) == (255, 255, 255)
    bomb = huge_png(tmp_path / "bomb.png", 30_000, 30_000).read_bytes()
    rows = Dataset.from_dict({"image": [{"bytes": bomb, "path": "bomb.png"}], "text": ["a"]}, features=features)
    with pytest.raises(InputError, match=r"bomb.png: is far too large"):
        decoded(rows, Reader("image"))[0]


def test_seen_in_training_means_the_file(tmp_path: Path) -> None:
    files = [str(png(tmp_path / f"{name}.png")) for name in "abc"]
    train = Dataset.from_dict({"image": files[:2], "text": ["cat", "cat"]})
    assert seen_in_training(train, Dataset.from_dict({"image": files[1:], "text": ["cat", "cat"]})) == 1


@pytest.mark.parametrize(
    ("label", "words"),
    [("orderDrink", "order drink"), ("order_drink", "order drink"), ("T-shirt", "T shirt"), ("USA", "USA"), ("7", "7")],
)
def test_labels_in_words(label: str, words: str) -> None:
    assert in_words(label) == words
