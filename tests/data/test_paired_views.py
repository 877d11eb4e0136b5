"""Views of a file and its text, as the columns of a row."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nearfar.data.image_views import ImageViews
from nearfar.data.media import Reader
from nearfar.data.paired_views import PairedViews
from nearfar.data.text_views import TextViews

COLUMNS = ["image", "image_1", "image_2", "text", "text_1", "text_2"]


@pytest.fixture
def row(tmp_path: Path) -> dict[str, Any]:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return {"image": str(tmp_path / "a.png"), "text": "the cat sits on the green mat", "label": "cat"}


def made(row: dict[str, Any], **options: Any) -> dict[str, Any]:
    views = PairedViews(Reader("image"), ImageViews(16), TextViews(1.0), **options)
    assert list(views.columns) == list(views(row, random.Random(0)))
    return views(row, random.Random(0))


def test_one_weak_view_and_several_strong_ones(row: dict[str, Any]) -> None:
    found = made(row)
    assert list(found) == COLUMNS
    assert {found[name].size for name in COLUMNS[:3]} == {(16, 16)}
    assert found["text"] == "cat sits green mat"
    assert len({found[name].tobytes() for name in COLUMNS[:3]}) == 3
    assert list(made(row, number=0)) == ["image", "text"]


@pytest.mark.parametrize("augment", ["files", "texts", "none"])
def test_what_is_not_augmented_is_the_same_in_all_views(row: dict[str, Any], augment: str) -> None:
    found = made(row, augment=augment)
    sizes, texts = ({found[name].size for name in COLUMNS[:3]}, {found[name] for name in COLUMNS[3:]})
    assert (sizes == {(24, 20)}) == (augment in ("texts", "none"))
    assert (texts == {row["text"]}) == (augment in ("files", "none"))
