"""Models with two towers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.towers import add_tower, freeze, medium_of, router_of, two_towers
from towers.helpers import TEXTS, images, towers_for


@pytest.mark.parametrize("medium", ["image", "audio"])
def test_folder_loads_without_nearfar_code(medium: str, tiny_model_folder: Path, tmp_path: Path) -> None:
    model, items = towers_for(medium, tiny_model_folder)
    seen, read = model.encode(items, task=medium), model.encode(TEXTS, task="text")
    assert seen.shape == (3, 32)
    assert read.shape == (2, 32)
    assert np.linalg.norm(seen, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    model.save_pretrained(str(tmp_path / "model"))
    for again in (SentenceTransformer(str(tmp_path / "model"), device="cpu"), load(tmp_path / "model", device="cpu")):
        assert medium_of(again) == medium
        np.testing.assert_allclose(again.encode(items, task=medium), seen, atol=1e-6)
        np.testing.assert_allclose(again.encode(TEXTS, task="text"), read, atol=1e-6)
        assert again.max_seq_length == 64  # a speech model's own tokenizer has no say


def test_texts_come_out_as_of_the_text_model_alone(tiny_model_folder: Path) -> None:
    model, _ = towers_for("image", tiny_model_folder, frozen="text")
    alone = load(tiny_model_folder, device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(model.encode(TEXTS, task="text"), alone, atol=1e-6)


@pytest.mark.parametrize("frozen", ["text", "image"])
def test_frozen_tower_costs_no_gradient_and_does_not_move(frozen: str, tiny_model_folder: Path) -> None:
    model, items = towers_for("image", tiny_model_folder, frozen=frozen)
    other = "image" if frozen == "text" else "text"
    model.train()
    routes = router_of(model).sub_modules
    assert not routes[frozen].training
    assert routes[other].training
    vectors = {
        "text": model(model.preprocess(TEXTS, task="text"))["sentence_embedding"],
        "image": model(model.preprocess(items, task="image"))["sentence_embedding"],
    }
    assert vectors[frozen].grad_fn is None
    assert vectors[other].grad_fn is not None
    before = {name: value.clone() for name, value in routes[frozen].state_dict().items()}
    with torch.no_grad():  # batch statistics would move here
        model(model.preprocess(items, task="image"))
    assert all(torch.equal(value, before[name]) for name, value in routes[frozen].state_dict().items())


def test_dims_project_what_is_not_frozen(tiny_model_folder: Path) -> None:
    model, items = towers_for("image", tiny_model_folder, dims=8)
    assert model.encode(items, task="image").shape == (3, 8)
    assert model.encode(TEXTS, task="text").shape == (2, 8)
    by_image, items = towers_for("image", tiny_model_folder, frozen="image")
    assert by_image.encode(TEXTS, task="text").shape == (2, 256)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "image_model"),
        ({"image": "small-cnn", "audio": "small-audio"}, "image_model"),
        ({"image": "small-cnm"}, "image_model"),
        ({"audio": "small-cnn"}, "audio_model"),
        ({"image": "small-cnn", "frozen": "audio"}, "frozen"),
        ({"image": "small-cnn", "frozen": "text", "dims": 8}, "dims"),
        ({"image": "small-cnn", "dims": 0}, "dims"),
        ({"image": "small-cnn", "image_size": 20}, "image_size"),
        ({"audio": "small-audio", "seconds": 31}, "seconds"),
    ],
)
def test_mistakes_are_named(options: dict, field: str, tiny_model_folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        two_towers(tiny_model_folder, device="cpu", **options)
    assert caught.value.field == field


def test_a_text_model_is_no_image_model(tiny_model_folder: Path, tiny_model: SentenceTransformer) -> None:
    with pytest.raises(InputError, match=r"^image_model: .*for texts"):
        two_towers(tiny_model_folder, image=tiny_model_folder, device="cpu")
    with pytest.raises(InputError, match=r"^model: "):
        router_of(tiny_model)
    assert medium_of(tiny_model) is None
    with pytest.raises(InputError, match=r"^frozen: .*'audio'.* text, image$"):
        freeze(two_towers(tiny_model_folder, image="small-cnn", device="cpu"), "audio")


def test_a_tower_is_added_in_place(tiny_model_folder: Path) -> None:
    model = load(tiny_model_folder, device="cpu")
    alone = model.encode(TEXTS, normalize_embeddings=True)
    add_tower(model, "image", "small-cnn", frozen="text", image_size=16)
    np.testing.assert_allclose(model.encode(TEXTS, task="text"), alone, atol=1e-6)
    assert model.encode(images(), task="image").shape == (3, 32)
    assert not any(weight.requires_grad for weight in router_of(model).sub_modules["text"].parameters())
    with pytest.raises(InputError, match=r"^model: "):
        add_tower(model, "image", "small-cnn", image_size=16)
