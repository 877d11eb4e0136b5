"""The recall that is measured while an index is built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nearfar.search.index as index_module
from nearfar.models.encoding import encode
from nearfar.search import build_index, read_metadata
from nearfar.search.recall import nearest_in_sample
from search.helpers import CORPUS


def test_the_sample_is_of_the_first_block_and_its_nearest_are_of_all() -> None:
    rng = np.random.default_rng(0)
    every = rng.normal(size=(700, 8)).astype(np.float32)
    seen = []

    def blocks():
        for block in np.split(every, 7):
            seen.append(len(block))
            yield block

    sample = nearest_in_sample(blocks())
    assert sum(seen) == 700
    assert sample.rows.max() == 99
    wanted = np.argsort(-(every[sample.rows] @ every.T), axis=1)[:, :11]
    np.testing.assert_array_equal(sample.nearest, wanted)


def test_it_is_said_of_vectors_that_are_rounded(tiny_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_index(tiny_model, CORPUS, tmp_path / "exact")
    assert read_metadata(tmp_path / "exact").recall is None
    index = build_index(tiny_model, CORPUS, tmp_path / "int8", precision="int8")
    vectors = encode(tiny_model, CORPUS)
    exact = np.argsort(-(vectors @ vectors.T), axis=1)[:, :11]
    found, _ = index.nearest(vectors, 11)
    shares = [
        len((set(a) - {row}) & set(b)) / len(set(a) - {row})
        for row, (a, b) in enumerate(zip(exact.tolist(), found.tolist(), strict=True))
    ]
    # Equal similarities may be cut anywhere.
    assert read_metadata(tmp_path / "int8").recall == pytest.approx(np.mean(shares), abs=0.05)
    monkeypatch.setattr(index_module, "EXACT_BELOW", 0)
    build_index(tiny_model, CORPUS, tmp_path / "graph")
    assert 0.9 < (read_metadata(tmp_path / "graph").recall or 0) <= 1
