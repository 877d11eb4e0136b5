"""Rows as a model's towers read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset
from PIL import Image
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.towers import two_towers
from nearfar.models.towers.rows import both_sides, numbered_inputs
from nearfar.models.towers.texts import split_towers


@pytest.fixture
def images(tmp_path: Path) -> Dataset:
    for name in ("a", "b"):
        Image.new("RGB", (6, 4), (200, 0, 0)).save(tmp_path / f"{name}.png")
    paths = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    return Dataset.from_dict({"label": [5, 6], "text": ["red", "also red"], "image": paths})


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    return two_towers(tiny_model_folder, image="small-cnn", image_size=16, device="cpu")


def test_sides_of_images_and_texts(model: SentenceTransformer, images: Dataset) -> None:
    rows = both_sides(model, images)
    assert rows.column_names == ["image", "text"]
    assert rows[0]["image"].size == (6, 4)
    assert rows[1]["text"] == "also red"


def test_sides_of_texts(tiny_model_folder: Path) -> None:
    model = load(tiny_model_folder, device="cpu")
    pairs, texts = Dataset.from_dict({"anchor": ["a"], "positive": ["b"]}), Dataset.from_dict({"text": ["a", "b"]})
    assert both_sides(model, pairs).to_dict() == pairs.to_dict()
    with pytest.raises(InputError, match=r"^towers: "):
        both_sides(model, texts)
    split_towers(model)
    assert both_sides(model, texts).to_dict() == {"anchor": ["a", "b"], "positive": ["a", "b"]}


def test_inputs_of_one_tower_are_numbered(model: SentenceTransformer, images: Dataset) -> None:
    assert numbered_inputs(model, images, "text").to_dict() == {"text": ["red", "also red"], "label": [0, 1]}
    rows = numbered_inputs(model, images, "image")
    assert rows.column_names == ["image", "label"]
    assert [row["label"] for row in rows] == [0, 1]
    assert rows[1]["image"].size == (6, 4)
