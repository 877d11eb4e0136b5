"""A callable for workers: vectors as of `encode`, and no weights in its pickle."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from nearfar.encoding import Encoder
from nearfar.errors import InputError
from nearfar.models import fingerprint
from nearfar.models.encoding import encode

TEXTS = ["the cat sits", "rain", "a dog runs on the mat"]


def test_vectors_are_those_of_encode(tiny_model, tiny_model_folder: Path) -> None:
    right = encode(tiny_model, TEXTS, normalize=False, prompt="the ")
    encoder = Encoder(tiny_model_folder, normalize=False, prompt="the ")
    batch = encoder({"text": np.array(TEXTS, dtype=object), "id": np.arange(3)})
    assert list(batch) == ["text", "id", "vector"]
    np.testing.assert_allclose(batch["vector"], right, atol=1e-6)


def test_rows_are_mapped_in_batches(tiny_model, tiny_model_folder: Path) -> None:
    rows = Dataset.from_dict({"title": TEXTS}).map(Encoder(tiny_model_folder, column="title"), batched=True)
    assert rows.column_names == ["title", "vector"]
    np.testing.assert_allclose(rows["vector"], encode(tiny_model, TEXTS), atol=1e-6)


def test_the_pickle_contains_no_weights(tiny_model_folder: Path) -> None:
    encoder = Encoder(tiny_model_folder)
    before = pickle.dumps(encoder)
    first = encoder({"text": TEXTS})["vector"]
    assert pickle.dumps(encoder) == before
    assert len(before) < 2_000
    np.testing.assert_array_equal(pickle.loads(before)({"text": TEXTS})["vector"], first)


def test_mistakes(tiny_model, tiny_model_folder: Path, prompted_folder: Path) -> None:
    with pytest.raises(InputError, match=r"column.*got title"):
        Encoder(tiny_model_folder)({"title": TEXTS})
    with pytest.raises(InputError, match="row 2"):
        Encoder(tiny_model_folder)({"text": ["a", None]})
    with pytest.raises(InputError, match="batch_size"):
        Encoder(tiny_model_folder, batch_size=0)
    with pytest.raises(InputError, match="model"):
        Encoder(prompted_folder, fingerprint=fingerprint(tiny_model))({"text": TEXTS})
    assert "vector" in Encoder(tiny_model_folder, fingerprint=fingerprint(tiny_model))({"text": TEXTS})
