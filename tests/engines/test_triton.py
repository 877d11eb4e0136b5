"""Runs triton_checks.py: on the GPU if there is one, else under Triton's interpreter.

The interpreter is chosen when triton is first imported, which any test before these may have done: hence a process of
its own.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nearfar import contrast
from nearfar.errors import InputError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is for Linux")


def test_equals_the_reference() -> None:
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    if not torch.cuda.is_available():
        environment["TRITON_INTERPRET"] = "1"
    checks = Path(__file__).with_name("triton_checks.py")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-p", "no:cacheprovider", str(checks)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter takes every device")
@pytest.mark.parametrize("symmetric", [False, True])
def test_tensors_on_no_gpu_are_refused_in_words(symmetric: bool) -> None:
    a = torch.randn(4, 3)
    with pytest.raises(InputError, match='the anchors are on cpu; use engine="streaming"'):
        contrast(a, a, symmetric=symmetric, engine="triton")
