"""Models with views: built from encoders, saved as folders that are plain models, loaded view by view."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.errors import InputError
from nearfar.kinds.loading import of
from nearfar.models.encoding import encode
from nearfar.models.fingerprint import fingerprint
from nearfar.models.routes import only_medium
from nearfar.models.towers.columns import column_routes
from nearfar.models.towers.reading import encode_media
from nearfar.models.view_encoders import encoder_with_views
from nearfar.models.views import one_view, views_of

VIEWS = ("salient", "common")
TEXTS = ["the cat sits", "a dog runs on grass", "the sea"]


@pytest.fixture(scope="module", params=["two encoders", "shared"])
def saved(request: pytest.FixtureRequest, tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shared = request.param == "shared"
    model, pretrained = encoder_with_views(str(tiny_model_folder), "text", VIEWS, shared=shared, dims=6)
    assert pretrained
    assert views_of(model) == VIEWS
    folder = tmp_path_factory.mktemp("views") / "model"
    of(model).save(folder)
    routes = model[0].sub_modules
    assert (routes["salient"][0] is routes["common"][0]) == shared
    return folder


def test_each_view_is_a_plain_model_and_the_whole_encodes_with_the_first(saved: Path) -> None:
    whole = SentenceTransformer(str(saved), device="cpu")
    for view in VIEWS:
        plain = SentenceTransformer(str(saved / view), device="cpu").encode(TEXTS)
        assert plain.shape == (3, 6)
        assert np.array_equal(plain, whole.encode(TEXTS, task=view))
        assert np.array_equal(plain, nearfar.load(saved, device="cpu", view=view).encode(TEXTS))
    assert np.array_equal(whole.encode(TEXTS), whole.encode(TEXTS, task="salient"))
    assert not np.allclose(whole.encode(TEXTS), whole.encode(TEXTS, task="common"))


def test_queries_and_documents_are_encoded_with_the_first_view(saved: Path) -> None:
    whole = nearfar.load(saved, device="cpu")
    for found in (
        whole.encode_query(TEXTS),
        whole.encode_document(TEXTS),
        encode(whole, TEXTS, kind="query", normalize=False),
    ):
        assert np.array_equal(found, whole.encode(TEXTS, task="salient"))


def test_a_shared_encoder_stays_shared(saved: Path, tmp_path: Path) -> None:
    model = nearfar.load(saved, device="cpu")
    of(model).save(tmp_path / "again")
    again = nearfar.load(tmp_path / "again", device="cpu")
    assert fingerprint(again) == fingerprint(model)
    first, second = (of_model[0].sub_modules for of_model in (model, again))
    assert (first["salient"][0] is first["common"][0]) == (second["salient"][0] is second["common"][0])


def test_a_view_that_does_not_exist_and_a_model_without_views(saved: Path, tiny_model_folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        nearfar.load(saved, device="cpu", view="other")
    assert caught.value.field == "--view"
    assert "salient, common" in str(caught.value)
    with pytest.raises(InputError) as caught:
        nearfar.load(tiny_model_folder, device="cpu", view="common")
    assert caught.value.field == "--view"


def test_towers_and_plain_models_have_no_views(tiny_model_folder: Path) -> None:
    from nearfar.models.towers.texts import split_towers

    model = nearfar.load(tiny_model_folder, device="cpu")
    assert views_of(model) == ()
    split_towers(model)
    assert views_of(model) == ()


def test_all_columns_are_read_by_the_first_view(saved: Path) -> None:
    assert column_routes(nearfar.load(saved, device="cpu"), ["text"]) == {"text": "salient"}


def test_views_of_images_encode_files_and_no_texts(tmp_path: Path) -> None:
    files = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(pixels).save(files[-1])
    model, pretrained = encoder_with_views(None, "image", VIEWS, dims=5, image_size=32)
    assert not pretrained
    assert only_medium(model) == "image"
    of(model.eval()).save(tmp_path / "model")
    whole = nearfar.load(tmp_path / "model", device="cpu")
    for view in VIEWS:
        plain = nearfar.load(tmp_path / "model" / view, device="cpu")
        assert only_medium(plain) == "image"
        found = encode_media(plain, files, "image", batch_size=2)
        assert found.shape == (3, 5)
        assert np.allclose(found, encode_media(one_view(whole, view), files, "image"), atol=1e-6)
    with pytest.raises(InputError):
        encode(whole, TEXTS)
    with pytest.raises(InputError):
        encode_media(whole, files, "audio")


def test_text_encoders_have_no_medium_of_their_own(tiny_model_folder: Path) -> None:
    assert only_medium(nearfar.load(tiny_model_folder, device="cpu")) is None
