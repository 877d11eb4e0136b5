"""A folder per label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from nearfar.data import load
from nearfar.errors import InputError


def png(path: Path, size: tuple[int, int] = (6, 4), colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def wav(path: Path, samples: np.ndarray, rate: int = 8000, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def test_a_folder_a_label(tmp_path: Path) -> None:
    for name in ("big_dogs/1.png", "big_dogs/2.JPG", "catsOnly/x.webp", "catsOnly/notes.txt", "catsOnly/.hidden.png"):
        png(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).write_text("not an image")
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
    with pytest.raises(InputError, match=r"sounds/test: .*images.*audio"):
        load(tmp_path / "sounds", split="test")
    png(tmp_path / "one" / "only" / "a.png")
    with pytest.raises(InputError, match=r"one: .*'only'"):
        load(tmp_path / "one")
