"""Vectors in fewer bytes: what is found, in which order, and from which files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nearfar.errors import InputError
from nearfar.mining.neighbours import nearest_of
from nearfar.search import build_index, open_index, open_or_build, read_metadata
from nearfar.search.precision import StoredVectors, VectorWriter, check_precision, files_of
from search.helpers import CORPUS, Reader


def vectors(n: int, dimension: int = 64, seed: int = 0) -> np.ndarray:
    """Unit vectors around some centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, dimension))
    found = centres[rng.integers(20, size=n)] + 0.8 * rng.normal(size=(n, dimension))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def stored(folder: Path, precision: str, every: np.ndarray, similarity: str = "cosine") -> StoredVectors:
    writer = VectorWriter(folder, check_precision(precision), similarity)
    for block in np.array_split(every, 3):
        writer.add(block)
    writer.close()
    return StoredVectors.open(folder, check_precision(precision), writer.scale, writer.graphs)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("precision", ["float32", "int8", "binary"])
def test_the_nearest_are_found_and_scored_by_the_longer_codes(precision: str, similarity: str, tmp_path: Path) -> None:
    every = vectors(2_000, 128)
    opened = stored(tmp_path, precision, every, similarity)
    assert (len(opened), opened.ndim) == every.shape
    assert {path.name for path in tmp_path.iterdir()} == set(files_of(precision))
    queries = every[:40]
    rows, scores = opened.near(queries, 10)
    exact, _ = nearest_of(torch.from_numpy(queries), [torch.from_numpy(every)], 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)])
    assert recall > (0.75 if precision == "binary" else 0.95)
    np.testing.assert_allclose(
        scores, np.einsum("qd,qkd->qk", queries, opened.of(rows.ravel()).reshape(40, 10, -1)), rtol=1e-5
    )
    assert (np.diff(scores, axis=1) <= 0).all()


def test_more_candidates_find_more_of_the_nearest(tmp_path: Path) -> None:
    every = vectors(5_000, 64)
    opened, queries = stored(tmp_path, "binary", every), every[:100]
    exact, _ = nearest_of(torch.from_numpy(queries), [torch.from_numpy(every)], 10)

    def recall(candidates: int | None) -> float:
        rows, _ = opened.near(queries, 10, candidates=candidates)
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]))

    assert recall(10) < recall(100) < recall(None)


@pytest.mark.parametrize("precision", ["float32", "int8", "binary"])
def test_several_graphs_find_what_one_finds(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = vectors(1_000)
    for name in ("one", "several"):
        (tmp_path / name).mkdir()
    one = stored(tmp_path / "one", precision, every)
    monkeypatch.setattr("nearfar.search.precision._OF_GRAPH", 300)
    several = stored(tmp_path / "several", precision, every)
    assert {path.name for path in (tmp_path / "several").iterdir()} == set(files_of(precision, 4))
    assert [len(graph) for graph in several.graphs] == [300, 300, 300, 100]
    assert len(several) == 1_000
    rows = np.array([999, 0, 299, 300, 300, 650])
    np.testing.assert_array_equal(several.of(rows), one.of(rows))
    # As many candidates as there are documents: only what a graph does not reach is missing.
    found, scores = several.near(every[::100], 10, candidates=1_000)
    wanted, expected = one.near(every[::100], 10, candidates=1_000)
    both = [set(a) & set(b) for a, b in zip(found.tolist(), wanted.tolist(), strict=True)]
    assert np.mean([len(each) for each in both]) > 8.5
    np.testing.assert_allclose(scores[:, 0], expected[:, 0], rtol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_graphs_end_where_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.search.precision._OF_GRAPH", 100)
    several = stored(tmp_path, "int8", vectors(300))
    assert [len(graph) for graph in several.graphs] == [100, 100, 100]
    rows, scores = several.near(vectors(2, seed=1), 400)
    assert sorted(rows[0].tolist()) == list(range(300))
    assert np.isfinite(scores).all()


def test_products_in_parts_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, queries = stored(tmp_path, "binary", vectors(500)), vectors(7, seed=1)
    whole = opened.near(queries, 10)
    monkeypatch.setattr("nearfar.search.precision._AT_ONCE", 3 * 400 * 64 * 4)
    for found, wanted in zip(opened.near(queries, 10), whole, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_an_eight_bit_code_is_within_half_a_step(tmp_path: Path) -> None:
    every = vectors(300)
    opened = stored(tmp_path, "int8", every)
    # The scale is that of the first block: a larger component of a later one is cut off.
    wanted = np.clip(every, -opened.scale, opened.scale)
    assert np.abs(opened.of(np.arange(300)) - wanted).max() <= opened.scale / 127 / 2 + 1e-6


def test_memory_of_the_graph_is_a_fraction(tmp_path: Path) -> None:
    every, sizes = vectors(2_000, 256), {}
    for precision in ("float32", "int8", "binary"):
        folder = tmp_path / precision
        folder.mkdir()
        stored(folder, precision, every)
        sizes[precision] = (folder / "vectors.usearch").stat().st_size
    assert sizes["float32"] - sizes["int8"] == pytest.approx(3 * every.size, rel=0.05)
    assert sizes["float32"] - sizes["binary"] == pytest.approx((4 - 1 / 8) * every.size, rel=0.05)


def test_more_results_than_documents(tmp_path: Path) -> None:
    rows, scores = stored(tmp_path, "binary", vectors(30)).near(vectors(2, seed=1), 50)
    assert rows.shape == scores.shape == (2, 30)
    assert sorted(rows[0].tolist()) == list(range(30))


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="float32, int8, binary"):
        check_precision("int4")
    with pytest.raises(InputError, match="multiple of 8, got 12"):
        stored(tmp_path, "binary", vectors(10, 12))


def test_a_damaged_index_is_not_opened(tiny_model, tmp_path: Path) -> None:
    build_index(tiny_model, CORPUS, tmp_path / "index", precision="binary")
    codes = bytearray((tmp_path / "index" / "codes.int8").read_bytes())
    codes[0] ^= 1
    (tmp_path / "index" / "codes.int8").write_bytes(codes)
    with pytest.raises(InputError, match=r"codes\.int8"):
        open_index(tmp_path / "index", model=tiny_model)


def test_an_index_keeps_its_precision_until_another_is_asked_for(tiny_model, corpus_file: Path, tmp_path: Path) -> None:
    read, folder = Reader(corpus_file), tmp_path / "index"

    def opened(precision: str | None) -> str | None:
        return open_or_build(tiny_model, corpus_file, read, folder, precision=precision).built

    assert opened("int8") == "new"
    assert opened(None) is None
    assert opened("int8") is None
    corpus_file.write_text(corpus_file.read_text() + "\none more document")
    assert opened(None) == "the corpus has changed"
    assert read_metadata(folder).precision == "int8"
    assert "int8" in str(opened("binary"))
    assert read_metadata(folder).precision == "binary"
    assert read.calls == 3


def test_an_index_without_a_precision_is_of_float32(tiny_model, tmp_path: Path) -> None:
    build_index(tiny_model, CORPUS, tmp_path / "index")
    file = tmp_path / "index" / "index.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(("precision", "scale", "recall"))]
    file.write_text("\n".join(lines).replace("format: 3", "format: 2"))
    assert open_index(tmp_path / "index", model=tiny_model).search("the cat")[0].rank == 1
