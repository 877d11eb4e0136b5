"""Rows that share a text, and batches without such rows."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from rows_for_batches import flat, pairs
from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

from nearfar.kinds._clashes import clashes_of, distinct_batches


@pytest.mark.parametrize("size", [2, 3, 8, 16])
@pytest.mark.parametrize("texts", [(2, 3), (5, 40), (40, 5), (1000, 2), (1000, 1000)])
def test_rows_wait_in_the_order_that_sentence_transformers_has(texts: tuple[int, int], size: int) -> None:
    for seed in range(10):
        rows = pairs(40 + seed, *texts, seed=seed)
        theirs = NoDuplicatesBatchSampler(
            rows, size, False, ["score"], generator=torch.Generator().manual_seed(seed), seed=seed
        )
        columns = rows.select_columns(["anchor", "positive"])
        expected = theirs._iter_one_pass(
            lambda row, columns=columns: set(columns[row].values()), lambda own, used: not own.isdisjoint(used)
        )
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed), dtype=torch.int32).tolist()
        found = list(distinct_batches(order, clashes_of(rows).texts, size, drop_last=False))
        assert found == [batch for batch in expected if len(batch) > 1]


def test_values_that_are_missing_or_no_texts() -> None:
    rows = Dataset.from_dict({"a": ["x", "y", "z"], "b": [None, None, "x"], "c": [[1], [1], [2]], "label": [1, 1, 1]})
    assert set(clashes_of(rows).texts) == {0, 1, 2}  # x of 0 and 2, [1] of 0 and 1
    assert clashes_of(rows.remove_columns(["a", "c"])).texts == {}
    assert clashes_of(rows.select([2, 0])).texts.keys() == {0, 1}, "rows that were chosen, by their new numbers"


class Counting(dict[int, tuple[int, ...]]):
    """Counts how often a row is looked at."""

    looked = 0

    def get(self, key: int, default: object = None) -> object:
        self.looked += 1
        return super().get(key, default)


@pytest.mark.parametrize("same", [2, 20, 1000])
def test_rows_that_wait_are_not_looked_at_again_in_every_batch(same: int) -> None:
    n = 20_000
    rows = Dataset.from_dict(
        {"anchor": [f"a{i}" for i in range(n)], "positive": [f"x{i % same}" if i % 2 else f"p{i}" for i in range(n)]}
    )
    texts = Counting(clashes_of(rows).texts)
    batches = list(distinct_batches(range(n), texts, 64, drop_last=True))
    assert len(flat(batches)) > n / 2
    assert texts.looked < 3 * n
