"""What the views of a model share, before and after training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from datasets import Dataset

import nearfar
from nearfar import geometry
from nearfar.models.leakage import leakage_while_training, view_vectors
from nearfar.models.view_encoders import encoder_with_views

TEXTS = Dataset.from_dict(
    {"text": [f"the {a} {b}" for a in ("cat", "dog", "sea") for b in ("sits", "runs", "is", "a")]}
)


def test_it_is_measured_on_held_out_rows_if_there_are_enough(tiny_model_folder: Path) -> None:
    model, _ = encoder_with_views(str(tiny_model_folder), "text", ("salient", "common"), dims=3)
    model.eval()
    measure = leakage_while_training(TEXTS)
    vectors = [view_vectors(model, TEXTS, view) for view in ("common", "salient")]
    expected = geometry.leakage(*vectors)
    found = measure(model, None)["leakage"]
    assert found["rows"] == "training"
    assert found["nats"] == expected.nats
    assert np.allclose(np.linalg.norm(vectors[0], axis=1), 1, atol=1e-5)
    for held_out, rows in ((TEXTS.select(range(11)), "held-out"), (TEXTS.select(range(4)), "training")):
        assert measure(model, held_out)["leakage"]["rows"] == rows
    assert leakage_while_training(TEXTS.select(range(4)))(model, None) == {}


def test_a_model_in_memory_is_copied_for_each_view_and_new_towers_differ(tiny_model_folder: Path) -> None:
    base = nearfar.load(tiny_model_folder, device="cpu")
    model, pretrained = encoder_with_views(base, "text", ("salient", "common"))
    routes = model[0].sub_modules
    assert pretrained
    assert routes["salient"][0] is base[0]
    assert routes["common"][0] is not base[0]
    assert np.array_equal(model.encode(["a cat"], task="salient"), model.encode(["a cat"], task="common"))
    model, pretrained = encoder_with_views("small-cnn", "image", ("salient", "common"), image_size=16)
    one, other = (next(model[0].sub_modules[view].parameters()) for view in ("salient", "common"))
    assert not pretrained
    assert not np.array_equal(one.detach().numpy(), other.detach().numpy())
