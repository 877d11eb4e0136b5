"""The towers of a model, by the routes of its first module."""

from __future__ import annotations

from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.routes import medium_of, router_of
from nearfar.models.towers import two_towers
from nearfar.models.towers.texts import split_towers


@pytest.mark.parametrize(("medium", "name"), [("image", "small-cnn"), ("audio", "small-audio")])
def test_two_towers_have_a_medium(medium: str, name: str, tiny_model_folder: Path) -> None:
    model = two_towers(tiny_model_folder, **{medium: name}, image_size=16, seconds=1, device="cpu")
    assert set(router_of(model).sub_modules) == {"text", medium}
    assert medium_of(model) == medium


def test_one_tower_or_two_for_texts_have_none(tiny_model: SentenceTransformer, tiny_model_folder: Path) -> None:
    split = load(tiny_model_folder, device="cpu")
    split_towers(split)  # routes for queries and documents
    for model in (tiny_model, split):
        assert medium_of(model) is None
        with pytest.raises(InputError, match=r"^model: "):
            router_of(model)
