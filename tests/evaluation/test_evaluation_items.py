"""What labelled rows contain beside their label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Image
from PIL import Image as Pictures

from nearfar.evaluation.items import item_names, item_vectors
from nearfar.models.encoding import encode
from nearfar.models.towers import two_towers


def test_texts_are_called_by_themselves_and_files_by_their_paths(tmp_path: Path) -> None:
    assert item_names(Dataset.from_dict({"text": ["a", "b"], "label": ["x", "y"]})) == ["a", "b"]
    paths = Dataset.from_dict({"image": ["a.png", "b.png"], "text": ["t", "u"], "label": ["x", "y"]})
    assert item_names(paths) == ["a.png", "b.png"]
    Pictures.new("RGB", (2, 2)).save(tmp_path / "a.png")
    bytes_ = (tmp_path / "a.png").read_bytes()
    inside = Dataset.from_dict({"image": [{"path": None, "bytes": bytes_}] * 2}).cast_column("image", Image())
    assert item_names(inside) == ["row 1", "row 2"]


def test_vectors_are_of_files_where_there_are_files(tiny_model_folder: Path, tiny_model: Any, tmp_path: Path) -> None:
    for number in range(2):
        Pictures.new("RGB", (16, 16), (number * 200, 90, 30)).save(tmp_path / f"{number}.png")
    files = [str(tmp_path / f"{number}.png") for number in range(2)]
    model = two_towers(str(tiny_model_folder), image="small-cnn", image_size=16, device="cpu")
    found = item_vectors(model, Dataset.from_dict({"image": files, "text": ["a cat", "a dog"]}))
    expected = model.encode(files, task="image", normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    texts = item_vectors(tiny_model, Dataset.from_dict({"text": ["a cat", "a dog"]}), batch_size=1)
    np.testing.assert_allclose(texts, encode(tiny_model, ["a cat", "a dog"]), atol=1e-5)
