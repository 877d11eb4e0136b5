"""Blocks of x = S / temperature, one at a time in the same memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.engines.problem import Problem

if TYPE_CHECKING:
    from jaxtyping import Float

#: Bytes of one block of S, and of what builders make of its size: enough for matrix products to run at full speed.
BLOCK_BYTES = {"cpu": 64 << 20, "cuda": 1 << 30}
#: Memory that a thread keeps on a CPU for the next call.
SCRATCH_BYTES = 3 * BLOCK_BYTES["cpu"]
#: At most this part of a GPU's memory goes to a block.
GPU_SHARE = 1 / 32
#: More rows make the products of a GPU no faster.
MOST_GPU_ROWS = 4096
#: Fewer rows would starve the matrix products; a block this low is never larger than the gradient of 128-d candidates.
LEAST_ROWS = 128


def row_blocks(
    problem: Problem, block_rows: int | None
) -> Iterator[tuple[slice, Float[Tensor, "b d"], Float[Tensor, "b m"]]]:
    """(rows, their anchors / temperature, x of these rows). The next block overwrites x."""
    n, m = problem.shape
    if block_rows is None:
        bytes_ = block_bytes(problem.anchors.device)
        if not problem.lean:
            # Builders need memory of a block's size too, and below 32 MB malloc keeps the pages of what is freed, so
            # that the next block does not fault them in again.
            bytes_ = bytes_ * 3 // 8
        block_rows = max(LEAST_ROWS, bytes_ // (m * problem.anchors.element_size()))
        if problem.anchors.is_cuda:
            block_rows = min(block_rows, MOST_GPU_ROWS)
    block_rows = min(block_rows, n)
    x = scratch(block_rows * m, problem.anchors).view(block_rows, m)
    for start in range(0, n, block_rows):
        rows = slice(start, min(start + block_rows, n))
        a = problem.anchors[rows] / problem.temperature
        yield rows, a, torch.mm(a, problem.candidates.T, out=x[: len(a)])


def block_bytes(device: torch.device) -> int:
    """Bytes of one block of S on a device."""
    if device.type != "cuda":
        return BLOCK_BYTES.get(device.type, BLOCK_BYTES["cpu"])
    return min(BLOCK_BYTES["cuda"], int(torch.cuda.get_device_properties(device).total_memory * GPU_SHARE))


_kept = threading.local()


def scratch(size: int, like: Tensor) -> Float[Tensor, " size"]:
    """Memory to write over. On a CPU it is kept for the next call: new pages cost as much as a sweep."""
    if like.device.type != "cpu" or size * like.element_size() > SCRATCH_BYTES:
        return like.new_empty(size)
    flat = getattr(_kept, "flat", None)
    if flat is None or flat.dtype != like.dtype or flat.numel() < size:
        _kept.flat = flat = like.new_empty(size)
    return flat[:size]
