"""The kernels of tiles: checks_triton_tiles.py."""

from __future__ import annotations

import pytest
from triton_runner import needs_triton, run_checks

pytestmark = needs_triton


@pytest.mark.slow
def test_equals_the_reference() -> None:
    run_checks("checks_triton_tiles.py")
