"""An open index: its hits, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nearfar.search.index as index_module
from nearfar.errors import InputError
from nearfar.models.encoding import encode
from nearfar.search import build_index, open_index
from search.helpers import CORPUS


def test_hits_are_the_exact_nearest(tiny_model, tmp_path: Path):
    ids = [f"doc-{row}" for row in range(len(CORPUS))]
    index = build_index(tiny_model, CORPUS, tmp_path / "index", ids=ids, batch_size=1)
    hits = index.search("a loan from the bank", k=7)
    scores = (encode(tiny_model, CORPUS) @ encode(tiny_model, ["a loan from the bank"])[0]).astype(np.float64)
    assert [hit.rank for hit in hits] == list(range(1, 8))
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][:7], atol=1e-5)
    assert all(hit.text == CORPUS[int(hit.id.removeprefix("doc-"))] for hit in hits)
    assert len(index.search("cat", k=1_000)) == len(CORPUS)


def test_graph_search_finds_the_same(tiny_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    index = build_index(tiny_model, CORPUS, tmp_path / "index")
    exact = index.search("the dog", k=5)
    monkeypatch.setattr(index_module, "EXACT_BELOW", 0)
    assert index.search("the dog", k=5)[0].text == exact[0].text
    assert len(index.search("the dog", k=80)) == 80
    assert index.vectors.graphs[0].expansion_search == 160


def test_what_is_not_opened_or_asked(tiny_model, tmp_path: Path):
    with pytest.raises(InputError, match=rf"^{tmp_path}: .*index\.yaml"):
        open_index(tmp_path)
    index = build_index(tiny_model, CORPUS[:2], tmp_path / "index")
    with pytest.raises(InputError, match=r"^query: "):
        index.search("  ")
    with pytest.raises(InputError, match=r"^k: .* 0"):
        index.search("cat", k=0)
    with pytest.raises(InputError, match=r"index\.yaml: "):  # built by a model without a name
        open_index(tmp_path / "index")
