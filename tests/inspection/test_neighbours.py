"""Neighbours on vectors by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nearfar.inspection.measuring import measure
from nearfar.inspection.neighbours import find_neighbours
from nearfar.inspection.pairs import pair_keys
from nearfar.inspection.sampling import draw_sample

from .helpers import pairs, random_unit, unit


@pytest.mark.parametrize("block", [7, 10_000])
def test_neighbours_are_exact_in_any_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.inspection.neighbours._BLOCK", block)
    a, b = (torch.from_numpy(random_unit(n, 8, n)) for n in (23, 31))
    positives = np.array([[i, (3 * i) % 31] for i in range(20)] + [[0, 5]])
    similarity = (a @ b.T).numpy()
    # Of two rows the nearest is excluded, where it would be the first negative.
    excluded = np.array([[i, int(similarity[i].argmax())] for i in (1, 2)])
    assert not {tuple(each) for each in excluded.tolist()} & {tuple(each) for each in positives.tolist()}
    found = find_neighbours(a, b, positives=pair_keys(positives, 31), excluded=pair_keys(excluded, 31), k=4)
    for i in range(23):
        own = [j for x, j in positives if x == i]
        others = [j for j in range(31) if j not in own and [i, j] not in excluded.tolist()]
        order = sorted(range(31), key=lambda j, i=i: -similarity[i, j])
        assert found.nearest[i].tolist() == order[:4]
        best_other = next(j for j in order if j in others)
        assert int(found.negative[i]) == best_other
        assert float(found.negative_cosine[i]) == pytest.approx(similarity[i, best_other], abs=1e-6)
        if own:
            best = max(similarity[i, own])
            assert float(found.positive_cosine[i]) == pytest.approx(best)
            assert int(found.positive[i]) == own[int(np.argmax(similarity[i, own]))]
            assert int(found.above[i]) == sum(similarity[i, j] > best for j in others)
        else:
            assert bool(found.positive_cosine[i].isnan())
            assert int(found.above[i]) == 0


def test_in_one_set_labels_match_and_no_item_is_its_own_neighbour() -> None:
    x = torch.from_numpy(unit([[1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1]]))
    found = find_neighbours(x, x, labels=torch.tensor([0, 1, 0, 2]), k=1)
    assert found.nearest[:, 0].tolist() == [1, 0, 1, 2]
    # 0 and 2 match, and 1 lies between them.
    assert found.positive[:3].tolist()[::2] == [2, 0]
    assert found.negative.tolist() == [1, 0, 1, 2]
    assert found.above.tolist() == [1, 0, 1, 0]
    assert found.positive_cosine.isnan().tolist() == [False, True, False, True]


def test_a_planted_false_negative_is_the_first_negative() -> None:
    n = 50
    a = random_unit(n, 32)
    b = unit(a + 0.5 * random_unit(n, 32, 1))
    b[17] = unit(a[[3]] + 0.05 * random_unit(1, 32, 2))[0]
    found = measure(draw_sample(pairs(n), 100), (a, b)).neighbours
    assert found.above.nonzero().flatten().tolist() == [3, 17]
    assert int(found.negative[3]) == 17


def test_a_negative_as_similar_as_the_positive_is_not_above_it() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8], [0.6, -0.8], [0.61, 0.79]])
    found = find_neighbours(a, b, positives=np.array([0]), k=1)
    assert found.above.tolist() == [1]
    assert find_neighbours(a, b[:2], positives=np.array([0]), k=1).above.tolist() == [0]


def test_a_small_set_has_as_many_neighbours_as_other_items() -> None:
    x = torch.from_numpy(random_unit(3, 4))
    assert find_neighbours(x, x, k=10).nearest.shape == (3, 2)
