"""The cases of the Triton engine, on the GPU if there is one, else for Triton's interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from cases import World

from nearfar.engines.triton import Triton
from nearfar.engines.triton_softmax import FusedSoftmax

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"reduction": "sum", "similarity": "dot"},
    {"reduction": "none"},
    {"symmetric": True},
    {"symmetric": True, "reduction": "sum", "similarity": "dot"},
    {"positives": True},
    {"positives": True, "reduction": "none", "similarity": "dot"},
)


def world(n: int, m: int, d: int, seed: int = 0) -> World:
    with torch.device("cpu"):  # its generator lives there
        result = World(n, m, d, seed)
    for name in ("anchors", "candidates", "positives"):
        setattr(result, name, getattr(result, name).to(DEVICE))
    return result


OBLONG = world(9, 37, 5, seed=2)
SQUARE = world(18, 18, 7, seed=1)


def small_blocks(block_rows: int | None = 4) -> Triton:
    """Several blocks, several chunks in a row, several tiles in a block; none of them divides."""
    return Triton(block_rows, FusedSoftmax(row_chunk=32, tile=(4, 32)))


@pytest.fixture(autouse=True)
def on_device() -> Iterator[None]:
    torch.set_default_device(DEVICE)
    yield
    torch.set_default_device(None)
