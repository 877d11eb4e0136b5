"""An index of vectors that exist: the same index, and no vectors of other texts or models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfar.encoding import Shard, encode_shard, join_shards
from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.encoding_files import encode_file
from nearfar.search import build_index
from search.helpers import CORPUS


@pytest.fixture
def model(prompted_folder: Path) -> Any:
    return load(prompted_folder, device="cpu")


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_the_index_is_that_of_the_encoded_corpus(model, tmp_path: Path, suffix: str) -> None:
    encoded = build_index(model, CORPUS, tmp_path / "encoded")
    out = tmp_path / f"v{suffix}"
    encode_shard(model, CORPUS, out, Shard(1, 1), kind="document")
    join_shards(model, CORPUS, out, 1, kind="document")
    seen: list[tuple[int, int]] = []
    given = build_index(model, CORPUS, tmp_path / "given", vectors=out, progress=lambda *done: seen.append(done))
    for query in ("the dog", "rain today"):
        assert given.search(query, k=5) == encoded.search(query, k=5)
    assert given.metadata.count == encoded.metadata.count == len(CORPUS)
    assert seen == [(len(CORPUS), len(CORPUS))]


def test_vectors_of_other_texts_or_models_are_refused(model, tmp_path: Path) -> None:
    out, folder = tmp_path / "v.npy", tmp_path / "index"
    for texts, options, named in (
        (CORPUS, {"kind": "query"}, "row 1"),
        (CORPUS, {"kind": "document", "normalize": False}, "row 1"),
        ([*CORPUS[1:], CORPUS[0]], {"kind": "document"}, "row 1"),
        (CORPUS[:-1], {"kind": "document"}, "number"),
        ([*CORPUS, "one more"], {"kind": "document"}, "number"),
    ):
        encode_file(model, texts, out, **options)
        with pytest.raises(InputError, match=named):
            build_index(model, CORPUS, folder, vectors=out)
    for wrong in (
        np.zeros((len(CORPUS), 3), np.float32),
        np.zeros((len(CORPUS), 32)),
        np.full((len(CORPUS), 32), np.nan, np.float32),
    ):
        np.save(out, wrong)
        with pytest.raises(InputError, match=r"v\.npy"):
            build_index(model, CORPUS, folder, vectors=out)
    with pytest.raises(InputError, match=r"none\.npy"):
        build_index(model, CORPUS, folder, vectors=tmp_path / "none.npy")
    assert not folder.exists()
