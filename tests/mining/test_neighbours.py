"""Exact neighbours in blocks."""

from __future__ import annotations

import pytest
import torch

from nearfar.mining import nearest, neighbours


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("block", [1, 300, 2**24])
def test_nearest_in_blocks_is_the_whole_matrix(block, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    vectors = torch.randn(57, 5, generator=generator())
    unit = torch.nn.functional.normalize(vectors)
    expected = (unit @ unit.T).fill_diagonal_(-2).topk(6)
    rows, cosines = nearest(vectors, 6)
    assert rows.tolist() == expected.indices.tolist()
    torch.testing.assert_close(cosines, expected.values)
    assert nearest(vectors, 500)[0].shape == (57, 56)


@pytest.mark.parametrize(("rows", "k"), [(1, 1), (0, 1), (3, 0)])
def test_no_neighbours_of_one_row_nor_none_at_all(rows: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"{rows} rows and k={k}"):
        nearest(torch.ones(rows, 2), k)
