"""Images that several claims use: files of CIFAR-10, and emoji with their names."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from functools import cache
from typing import Any, Literal

import numpy as np
from _data import located
from PIL import Image

File = dict[str, Any]


@cache
def cifar(part: Literal["train", "test"], each: int) -> dict[str, list[File]]:
    """The first JPEG files of each class, sorted by name."""
    found: dict[str, list[File]] = {}
    with zipfile.ZipFile(located("cifar10", "cifar10.zip")) as files:
        for name in sorted(files.namelist()):
            if name.startswith(part) and name.endswith(".jpg"):
                held = found.setdefault(name.split("/")[1], [])
                if len(held) < each:
                    held.append({"bytes": files.read(name), "path": name})
    return found


@cache
def emoji(split: str) -> tuple[list[File], list[str]]:
    """Images and their names; no name is in two splits."""
    with gzip.open(located("emoji", "emoji-text.jsonl.gz"), "rt") as lines:
        rows = [row for row in map(json.loads, lines) if row["split"] == split]
    files = []
    with np.load(located("emoji", "emoji-images.npz")) as held:
        pixels = held["image"]
    for row in rows:
        stream = io.BytesIO()
        Image.fromarray(pixels[row["row"]]).save(stream, "PNG")
        files.append({"bytes": stream.getvalue(), "path": f"{row['row']}.png"})
    return files, [row["name"] for row in rows]
