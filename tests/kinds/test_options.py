"""Options that several recipes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.errors import InputError
from nearfar.kinds.options import ContrastOptions, NewLanguageOptions, TowerOptions
from nearfar.losses import ContrastLoss
from nearfar.models import load
from nearfar.models.towers import medium_of


def test_contrast_options_are_arguments_of_the_loss(tiny_model) -> None:
    loss = ContrastLoss(tiny_model, **ContrastOptions(temperature=0.3, cached=True).contrast)
    assert (loss.temperature, loss.uses_gradient_cache, loss.gather_across_devices) == (0.3, True, True)
    with pytest.raises(InputError, match=r"^temperature: .* 0;"):
        ContrastOptions(temperature=0)


def test_a_tower_is_added_once(tiny_model_folder: Path) -> None:
    model, options = load(tiny_model_folder, device="cpu"), TowerOptions(image_size=16)
    assert options.begins_untrained(model, "image")
    assert options.add_tower(model, "image", dims=8)
    assert medium_of(model) == "image"
    assert model.encode(["a cat"], task="text").shape == (1, 8)
    assert not options.begins_untrained(model, "image"), "it has the tower"
    assert not options.add_tower(model, "image")


def test_rows_of_texts_need_no_tower(tiny_model_folder: Path) -> None:
    model, options = load(tiny_model_folder, device="cpu"), TowerOptions()
    assert not options.begins_untrained(model, None)
    assert not options.add_tower(model, None)
    assert medium_of(model) is None


def test_a_named_model_is_not_untrained(tiny_model) -> None:
    assert not TowerOptions(image_model="some/clip").begins_untrained(tiny_model, "image")


def test_the_shape_of_a_new_model_has_no_effect_beside_a_model() -> None:
    NewLanguageOptions(layers=2).check_unused(None)
    NewLanguageOptions().check_unused("smollm2")
    for name, value in {"layers": 2, "vocabulary": 300}.items():
        with pytest.raises(InputError, match=rf"^{name}: has no effect"):
            NewLanguageOptions(**{name: value}).check_unused("smollm2")
