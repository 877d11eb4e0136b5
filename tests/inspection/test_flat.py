"""Two-dimensional maps."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.errors import InputError
from nearfar.inspection.flat import flat_map

from .helpers import unit


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_maps_are_the_same_each_time_and_keep_groups_apart(method: str) -> None:
    x = unit(np.repeat(np.eye(3, 20), 15, axis=0) + 0.02 * np.random.default_rng(0).normal(size=(45, 20)))
    first, again = (flat_map(x, method) for _ in range(2))
    assert first.shape == (45, 2)
    assert (first == again).all()
    groups = first.reshape(3, 15, 2)
    inside = np.linalg.norm(groups - groups.mean(1, keepdims=True), axis=2).max()
    middles = groups.mean(1)
    assert min(np.linalg.norm(middles[i] - middles[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 2 * inside
    assert np.isfinite(flat_map(unit(np.ones((6, 4))), method)).all()


def test_an_unknown_map() -> None:
    with pytest.raises(InputError) as error:
        flat_map(np.eye(4), "umap")
    assert error.value.field == "map"
