"""The Triton engine: checks_triton.py, and what it says where there is no GPU."""

from __future__ import annotations

import os

import pytest
import torch
from triton_runner import needs_triton, run_checks

from nearfar import contrast
from nearfar.errors import InputError

pytestmark = needs_triton


@pytest.mark.slow
def test_equals_the_reference() -> None:
    run_checks("checks_triton.py")


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter runs on every device")
@pytest.mark.parametrize("symmetric", [False, True])
def test_tensors_that_are_not_on_a_gpu_are_an_error(symmetric: bool) -> None:
    a = torch.randn(4, 3)
    with pytest.raises(InputError, match=r'the anchors are on cpu.*engine="streaming"'):
        contrast(a, a, symmetric=symmetric, engine="triton")
