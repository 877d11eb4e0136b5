"""Measures by layer and by dimension."""

from __future__ import annotations

import pytest

from nearfar.errors import InputError
from nearfar.inspection.measuring import measure
from nearfar.inspection.sampling import draw_sample
from nearfar.inspection.sizes import by_dims, default_dims, default_layers

from .helpers import pairs, random_unit, unit


def test_dims_are_prefixes_at_unit_length() -> None:
    x = random_unit(40, 8)
    sample = draw_sample(pairs(40), 100)
    y = unit(x + 0.5 * random_unit(40, 8, 1))
    found = by_dims(sample, (x, y), [2, 8])
    assert [size.dims for size in found] == [2, 8]
    whole, part = measure(sample, (x, y)), measure(sample, (unit(x[:, :2]), unit(y[:, :2])))
    for name in ("uniformity", "positive_cosine", "hubness"):
        expected = [part.measures[name], whole.measures[name]]
        assert [size.measures[name] for size in found] == pytest.approx(expected, abs=1e-6), name
    assert default_dims(384) == [8, 16, 32, 64, 128, 256, 384]
    assert default_dims(8) == [8]
    assert default_layers(6) == [1, 2, 3, 4, 5, 6]
    assert default_layers(24) == list(range(2, 25, 2))
    with pytest.raises(InputError) as error:
        by_dims(sample, (x, x), [9])
    assert error.value.field == "dims"
