"""The settings of a flow."""

from __future__ import annotations

from typing import Any

import pytest

from nearfar.dialogue import FlowOptions

from .helpers import refused


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"linkage": "single"}, "--linkage"),
        ({"sample": 0}, "--sample"),
        ({"max_length": 0}, "--max-length"),
        ({"batch_size": 0}, "--batch-size"),
        ({"merge": True}, "--merge"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], field: str):
    assert refused(lambda: FlowOptions(**settings)) == (None, None, field)
