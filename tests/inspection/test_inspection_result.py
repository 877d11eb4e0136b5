"""An inspection as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from nearfar.evaluation.intervals import Interval
from nearfar.inspection.result import summary

from .helpers import labelled_inspection


def test_a_distribution_in_figures() -> None:
    values = np.array([0.0, 0.25, 0.5, 1.0])
    found = summary(values)
    assert (found["n"], found["mean"]) == (4, 0.4375)
    assert found["sd"] == pytest.approx(np.std(values))
    quantiles = {name: value for name, value in found.items() if name.startswith("p")}
    assert quantiles == pytest.approx({name: np.quantile(values, int(name[1:]) / 100) for name in quantiles})


def test_bounds_are_in_order_and_a_sample_is_said_to_be_one() -> None:
    look = labelled_inspection(60, 4)
    found = replace(look, differences={"separation": Interval(0.25, 0.125, 0.5)})
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["differences"] == {"separation": {"mean": 0.25, "interval_95": [0.125, 0.5]}}
    assert told["against"]["measures"] == found.against.measures  # type: ignore[union-attr]
    assert told["rows"]["sampled"] is False
    assert replace(look, total=look.looked_at + 1).sampled
    assert "differences" not in replace(look, against=None).as_dict()
