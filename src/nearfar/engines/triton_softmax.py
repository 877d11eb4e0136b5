"""The elementwise work on a block of x between its matrix products, fused: one kernel, and one visit to memory, each.

Between two products an entry costs nothing but the traffic to and from memory. In plain torch that is six to ten visits
of every entry; here a softmax reads it once from memory and once from the cache, and writes it once.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from nearfar.engines.softmax import Softmax, never_overflows

#: Entries of a row that a program holds at a time: enough loads in flight to keep the memory busy from a single program
#: on a multiprocessor, which is how few there are when a million candidates leave 128 rows to a block.
ROW_CHUNK = 8192
#: Rows and columns of a tile in the two-way kernels.
TILE = (32, 128)


class FusedSoftmax(Softmax):
    """`Softmax` in Triton. x is contiguous along its rows."""

    def __init__(self, row_chunk: int = ROW_CHUNK, tile: tuple[int, int] = TILE) -> None:
        self.row_chunk, self.tile = row_chunk, tile

    def exponentiate(self, x: Tensor, keep: bool = True, reach: float = math.inf) -> tuple[Tensor, Tensor]:
        """See `Softmax.exponentiate`."""
        (b, m), lowest = x.shape, torch.finfo(x.dtype).min
        chunk = min(self.row_chunk, triton.next_power_of_2(m))
        if never_overflows(x, reach):
            z, top = x.new_empty(b), x.new_zeros(b)
            launch(_exponentiate_bounded, (b,), 8, x, z, m, x.stride(0), keep, chunk)
        else:
            z, top = x.new_empty(b), x.new_empty(b)
            launch(_exponentiate, (b,), 8, x, z, top, m, x.stride(0), lowest, keep, chunk)
        return z, top

    def logsumexps(self, x: Tensor, reach: float = math.inf) -> tuple[Tensor, Tensor]:
        """See `Softmax.logsumexps`. Every tile leaves one value a row and one a column; torch adds them up."""
        (b, m), (rows, columns) = x.shape, self.tile
        down, across = triton.cdiv(b, rows), triton.cdiv(m, columns)
        of_rows, of_columns = x.new_empty(across, b), x.new_empty(down, m)
        lowest = torch.finfo(x.dtype).min
        launch(_logsumexps, (across, down), 4, x, of_rows, of_columns, b, m, x.stride(0), lowest, rows, columns)
        return of_rows.logsumexp(0), of_columns.logsumexp(0)

    def exponentiate_both(self, x: Tensor, row_shift: Tensor, column_shift: Tensor, reach: float = math.inf) -> None:
        """See `Softmax.exponentiate_both`."""
        (b, m), (rows, columns) = x.shape, self.tile
        grid = (triton.cdiv(m, columns), triton.cdiv(b, rows))
        launch(_exponentiate_both, grid, 4, x, row_shift, column_shift, b, m, x.stride(0), rows, columns)


def launch(kernel: Any, grid: tuple[int, ...], warps: int, x: Tensor, *arguments: object) -> None:
    """Run `kernel(x, *arguments)` on the device of x: Triton would take the current one."""
    with torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext():
        kernel[grid](x, *arguments, num_warps=warps)


@triton.jit
def _exponentiate(
    x, z_out, top_out, m, stride, lowest: tl.constexpr, keep: tl.constexpr, chunk: tl.constexpr
):  # fmt: skip
    """A program takes one row: the running maximum and sum first, then, if it is to be kept, exp(x - top)."""
    row = tl.program_id(0)
    x += row.to(tl.int64) * stride
    lanes = tl.arange(0, chunk)
    # A maximum that starts at the lowest finite number keeps a row of -inf from becoming NaN.
    top = tl.full((), lowest, x.dtype.element_ty)
    z = tl.zeros((), x.dtype.element_ty)
    for start in range(0, m, chunk):
        j = start + lanes
        block = tl.load(x + j, mask=j < m, other=float("-inf"))
        higher = tl.maximum(top, tl.max(block, 0))
        z = z * tl.exp(top - higher) + tl.sum(tl.exp(block - higher), 0)
        top = higher
    tl.store(z_out + row, z)
    tl.store(top_out + row, top)
    if keep:
        for start in range(0, m, chunk):
            j = start + lanes
            block = tl.load(x + j, mask=j < m, other=float("-inf"))
            tl.store(x + j, tl.exp(block - top), mask=j < m)


@triton.jit
def _exponentiate_bounded(x, z_out, m, stride, keep: tl.constexpr, chunk: tl.constexpr):
    """The same where the maximum is not needed: every entry is read once."""
    row = tl.program_id(0)
    x += row.to(tl.int64) * stride
    lanes = tl.arange(0, chunk)
    z = tl.zeros((chunk,), x.dtype.element_ty)
    for start in range(0, m, chunk):
        j = start + lanes
        e = tl.exp(tl.load(x + j, mask=j < m, other=float("-inf")))
        z += e
        if keep:
            tl.store(x + j, e, mask=j < m)
    tl.store(z_out + row, tl.sum(z, 0))


@triton.jit
def _logsumexps(
    x, of_rows, of_columns, b, m, stride, lowest: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr
):  # fmt: skip
    """A program takes one tile, and leaves the logsumexps of its pieces of rows and of columns."""
    across, down = tl.program_id(0), tl.program_id(1)
    i, j = down * rows + tl.arange(0, rows), across * columns + tl.arange(0, columns)
    inside = (i < b)[:, None] & (j < m)[None, :]
    block = tl.load(x + i.to(tl.int64)[:, None] * stride + j[None, :], mask=inside, other=float("-inf"))
    top = tl.maximum(tl.max(block, 1), lowest)
    z = tl.sum(tl.exp(block - top[:, None]), 1)
    tl.store(of_rows + across.to(tl.int64) * b + i, top + tl.log(z), mask=i < b)
    top = tl.maximum(tl.max(block, 0), lowest)
    z = tl.sum(tl.exp(block - top[None, :]), 0)
    tl.store(of_columns + down.to(tl.int64) * m + j, top + tl.log(z), mask=j < m)


@triton.jit
def _exponentiate_both(
    x, row_shift, column_shift, b, m, stride, rows: tl.constexpr, columns: tl.constexpr
):  # fmt: skip
    across, down = tl.program_id(0), tl.program_id(1)
    i, j = down * rows + tl.arange(0, rows), across * columns + tl.arange(0, columns)
    inside = (i < b)[:, None] & (j < m)[None, :]
    at = x + i.to(tl.int64)[:, None] * stride + j[None, :]
    block = tl.load(at, mask=inside, other=float("-inf"))
    by_row = tl.load(row_shift + i, mask=i < b, other=float("-inf"))
    by_column = tl.load(column_shift + j, mask=j < m, other=float("-inf"))
    tl.store(at, tl.exp(block + by_row[:, None]) + tl.exp(block + by_column[None, :]), mask=inside)
