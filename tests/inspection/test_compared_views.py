"""An inspection of a model with two views."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.inspection import inspect
from nearfar.inspection.options import InspectOptions
from nearfar.inspection.page import inspection_page
from nearfar.inspection.sampling import draw_sample, read
from nearfar.inspection.views import comparison_of_views
from nearfar.kinds.loading import of
from nearfar.models.view_encoders import encoder_with_views

TEXTS = [f"the {a} {b}" for a in ("cat", "dog", "fish", "bird") for b in ("sits", "runs", "swims", "flies")]


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, _ = encoder_with_views(str(tiny_model_folder), "text", ("salient", "common"), dims=5)
    of(made.eval()).save(tmp_path_factory.mktemp("model") / "model")
    return tmp_path_factory.getbasetemp() / sorted(tmp_path_factory.getbasetemp().glob("model*/model"))[-1]


def test_both_views_side_by_side(model: Path, tmp_path: Path) -> None:
    write_jsonl([{"text": text} for text in TEXTS], tmp_path / "texts.jsonl")
    data, out = str(tmp_path / "texts.jsonl"), tmp_path / "out"
    assert run(["inspect", str(model), "--data", data, "--layers", "none", "--out", str(out)]) == 0
    found = json.loads((out / "inspect.json").read_text())
    assert found["model"].endswith("/salient")
    assert found["against"]["model"].endswith("/common")
    views = found["views"]
    assert 0 <= views["leakage"]["nats"] <= views["leakage"]["most"] + 1e-9
    assert views["items"] == len(TEXTS)
    first = views["directions"][0]
    assert {each["text"] for end in ("high", "low") for each in first[end]} <= set(TEXTS)
    assert first["high"][0]["line"] == TEXTS.index(first["high"][0]["text"]) + 1
    assert "What salient shows" in (out / "report.html").read_text()


def test_a_model_with_views_is_not_compared_with_another(model: Path, tiny_model_folder: Path) -> None:
    rows = Dataset.from_dict({"text": TEXTS})
    with pytest.raises(InputError) as caught:
        inspect(model, rows, against=tiny_model_folder)
    assert caught.value.field == "--against"
    assert inspect(model / "common", rows, against=tiny_model_folder, layers=[]).views is None


def test_the_items_at_the_ends_of_a_direction() -> None:
    rows = Dataset.from_dict({"text": [f"text {number}" for number in range(12)]})
    sample = draw_sample(read(rows, InspectOptions()), 100)
    # Most of the variance is along the first axis: item 11 is far out at one end, item 0 at the other.
    first = np.zeros((12, 3))
    first[:, 0] = np.arange(12.0) ** 2
    first[:, 1] = np.arange(12) % 2
    second = np.random.default_rng(0).normal(size=(12, 4))
    found = comparison_of_views(sample, first, second, 0)
    direction = found.directions[0]
    assert [item.text for item in direction.high[:2]] == ["text 11", "text 10"]
    assert [item.text for item in direction.low[:2]] == ["text 0", "text 1"]
    assert direction.share > 0.99
    assert len(found.directions) == 2
    assert comparison_of_views(sample, np.ones((12, 3)), second, 0).directions == ()


def test_images_are_shown_as_thumbnails(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(12):
        pixels = draw.integers(0, 255, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"image-{number}.png")
    made, _ = encoder_with_views(None, "image", ("salient", "common"), dims=4, image_size=16)
    found = inspect(made.eval(), folder)
    assert found.views is not None
    assert found.views.medium == "image"
    html = inspection_page(found).html()
    assert html.count("data:image/png;base64,") > 12
    assert "image-3.png" in html


def test_texts_beside_images_are_left_to_models_that_read_them(tmp_path: Path) -> None:
    for label in ("dark", "light"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(4):
            grey = np.full((16, 16, 3), (60 if label == "dark" else 200) + 5 * number, dtype=np.uint8)
            Image.fromarray(grey).save(tmp_path / "images" / label / f"{number}.png")
    made, _ = encoder_with_views(None, "image", ("salient", "common"), dims=4, image_size=16)
    found = inspect(made.eval(), tmp_path / "images")
    assert found.schema == "image + label"
    assert found.items == {"image": 8}
    assert found.views is not None
    assert found.views.leakage is None
