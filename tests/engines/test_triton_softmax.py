"""The fused kernels of panels: checks_triton_softmax.py."""

from __future__ import annotations

from triton_runner import needs_triton, run_checks

pytestmark = needs_triton


def test_equals_the_reference() -> None:
    run_checks("checks_triton_softmax.py")
