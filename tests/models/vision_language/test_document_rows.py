from __future__ import annotations

import io
from pathlib import Path

from datasets import Dataset, DatasetDict, Features, Image, Value
from PIL import Image as Pillow

from nearfar.data.media import Reader
from nearfar.models.vision_language.rows import documents


def test_captions_documents_and_images_from_the_hub_become_one_kind_of_rows(tmp_path: Path) -> None:
    Pillow.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / "a.png")
    file = io.BytesIO()
    Pillow.new("RGB", (8, 8), (0, 0, 200)).save(file, "PNG")
    path = str(tmp_path / "a.png")
    captions = Dataset.from_dict({"image": [path], "text": ["red"], "label": ["r"]})
    parts = [{"text": None, "image": path}, {"text": "red", "image": None}]
    long = Dataset.from_dict({"id": ["x"], "parts": [[{"text": "so", "image": None}, *parts, *parts, *parts]]})
    hub = Dataset.from_dict(
        {"image": [{"bytes": file.getvalue(), "path": None}], "text": ["blue"]},
        features=Features({"image": Image(), "text": Value("string")}),
    )
    found = documents(DatasetDict({"captions": captions, "long": long, "hub": hub}), 2)
    assert found["pair"] == [True, False, False, True]
    texts = [[part["text"] for part in row if part["text"]] for row in found["parts"]]
    assert texts == [["red"], ["so", "red", "red"], ["red"], ["blue"]]
    images = [[part["image"] for part in row if part["text"] is None] for row in found["parts"]]
    assert [len(row) for row in images] == [1, 2, 1, 1]
    pixels = [Reader("image").read(row[0]).getpixel((0, 0)) for row in images]
    assert pixels == [(200, 0, 0), (200, 0, 0), (200, 0, 0), (0, 0, 200)]
