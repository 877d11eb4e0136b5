"""Tiles of S that never leave the chip: the kernels of attention, for vectors as narrow as an attention head.

Every program owns a block of vectors, walks over tiles of the others, and recomputes x = S / temperature as it goes. F
is index work, a diagonal that is removed, or nothing; P stays outside. No atomics: the same input gives the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from nearfar.engines.triton_softmax import launch

if TYPE_CHECKING:
    from jaxtyping import Float

#: Programs that keep a large GPU busy: few rows are split over candidates until there are as many.
PROGRAMS = 256
#: Rows and columns of a tile: as large as registers allow without spilling, in shared memory that every card since
#: Ampere has. A gradient's program holds a second accumulator; float64 halves both.
LOGSUMEXP_TILE, GRADIENT_TILE = 128, 64


def logsumexps(
    anchors: Float[Tensor, "n d"],
    candidates: Float[Tensor, "m d"],
    temperature: Float[Tensor, ""],
    removed: tuple[int, int],
    precision: str,
    tile: int | None = None,
) -> Float[Tensor, " n"]:
    """logsumexp_j( a_i . c_j / temperature + F_ij ), -inf where F removes everything.

    Args:
        anchors, candidates: Contiguous.
        temperature: A 0-d tensor on the same device.
        removed: (offset, count): row i < count removes column i + offset.
        precision: Of the products, as in `tl.dot`: "tf32" or "ieee".
        tile: Rows and columns of a tile, a power of two from 16; None chooses.
    """
    tile = tile or LOGSUMEXP_TILE * 4 // anchors.element_size()
    (n, d), m = anchors.shape, len(candidates)
    blocks, tiles = triton.cdiv(n, tile), triton.cdiv(m, tile)
    splits = max(1, min(tiles, PROGRAMS // blocks))
    parts = anchors.new_empty(splits, n)
    launch(
        _logsumexp, (blocks, splits), _warps(tile), anchors, candidates, temperature, parts, n, m, d, *removed,
        triton.cdiv(tiles, splits), torch.finfo(anchors.dtype).min, tile, _step(d), precision,
    )  # fmt: skip
    return parts.logsumexp(0)


def gradient(
    out: Float[Tensor, "p d"],
    own: Float[Tensor, "p d"],
    others: Float[Tensor, "q d"],
    temperature: Float[Tensor, ""],
    logz: Float[Tensor, " n"],
    scale: Float[Tensor, " n"],
    removed: tuple[int, int],
    of_anchors: bool,
    precision: str,
    tile: int | None = None,
) -> None:
    """Out becomes the sum of w . other over the others: w_ij = scale_i exp(x_ij - logz_i), anchor i, candidate j.

    `own` are the anchors and `others` the candidates if `of_anchors`, else the other way round; the rest as above.
    An anchor that takes no part has logz = inf.
    """
    tile = tile or GRADIENT_TILE * 4 // own.element_size()
    (p, d), q = own.shape, len(others)
    width = max(16, min(128, triton.next_power_of_2(d)))
    grid = (triton.cdiv(p, tile), triton.cdiv(d, width))
    launch(
        _gradient, grid, _warps(tile), own, others, temperature, logz, scale, out, p, q, d, *removed,
        of_anchors, tile, _step(d), width, precision,
    )  # fmt: skip


def _step(d: int) -> int:
    return max(16, min(32, triton.next_power_of_2(d)))


def _warps(tile: int) -> int:
    return 8 if tile >= 64 else 4


@triton.jit
def _product(a, i, n, b, j, m, d, tile: tl.constexpr, step: tl.constexpr, precision: tl.constexpr):
    """a_i . b_j for a tile of rows i of a and j of b."""
    x = tl.zeros((tile, tile), a.dtype.element_ty)
    at_a, at_b = a + i.to(tl.int64)[:, None] * d, b + j.to(tl.int64)[None, :] * d
    for start in range(0, d, step):
        k = start + tl.arange(0, step)
        left = tl.load(at_a + k[None, :], mask=(i < n)[:, None] & (k < d)[None, :], other=0.0)
        right = tl.load(at_b + k[:, None], mask=(j < m)[None, :] & (k < d)[:, None], other=0.0)
        x = tl.dot(left, right, x, input_precision=precision, out_dtype=a.dtype.element_ty)
    return x


@triton.jit
def _logsumexp(
    a, c, temperature, parts, n, m, d, offset, count, tiles_each,
    lowest: tl.constexpr, tile: tl.constexpr, step: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """A program takes a block of anchors and its share of the candidates; online logsumexp."""
    split = tl.program_id(1)
    i = tl.program_id(0) * tile + tl.arange(0, tile)
    tau = tl.load(temperature)
    top = tl.full((tile,), lowest, a.dtype.element_ty)
    z = tl.zeros((tile,), a.dtype.element_ty)
    for start in range(split * tiles_each * tile, tl.minimum((split + 1) * tiles_each * tile, m), tile):
        j = start + tl.arange(0, tile)
        x = _product(a, i, n, c, j, m, d, tile, step, precision) / tau
        out = (j >= m)[None, :] | ((j[None, :] == i[:, None] + offset) & (i < count)[:, None])
        x = tl.where(out, float("-inf"), x)
        higher = tl.maximum(top, tl.max(x, 1))
        z = z * tl.exp(top - higher) + tl.sum(tl.exp(x - higher[:, None]), 1)
        top = higher
    tl.store(parts + split.to(tl.int64) * n + i, top + tl.log(z), mask=i < n)


@triton.jit
def _gradient(
    own, others, temperature, logz, scale, out, p, q, d, offset, count,
    of_anchors: tl.constexpr, tile: tl.constexpr, step: tl.constexpr, width: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """A program takes a block of its own vectors and width columns of their gradient; walks over all the others."""
    i = tl.program_id(0) * tile + tl.arange(0, tile)
    k = tl.program_id(1) * width + tl.arange(0, width)
    tau = tl.load(temperature)
    total = tl.zeros((tile, width), own.dtype.element_ty)
    for start in range(0, q, tile):
        j = start + tl.arange(0, tile)
        x = _product(own, i, p, others, j, q, d, tile, step, precision) / tau
        if of_anchors:
            shift = tl.load(logz + i, mask=i < p, other=float("inf"))[:, None]
            factor = tl.load(scale + i, mask=i < p, other=0.0)[:, None]
            out_of_it = (j[None, :] == i[:, None] + offset) & (i < count)[:, None]
        else:
            shift = tl.load(logz + j, mask=j < q, other=float("inf"))[None, :]
            factor = tl.load(scale + j, mask=j < q, other=0.0)[None, :]
            out_of_it = (i[:, None] == j[None, :] + offset) & (j < count)[None, :]
        w = tl.where(out_of_it | (j >= q)[None, :], 0.0, tl.exp(x - shift) * factor)
        vectors = tl.load(
            others + j.to(tl.int64)[:, None] * d + k[None, :], mask=(j < q)[:, None] & (k < d)[None, :], other=0.0
        )
        total = tl.dot(w, vectors, total, input_precision=precision, out_dtype=own.dtype.element_ty)
    tl.store(out + i.to(tl.int64)[:, None] * d + k[None, :], total, mask=(i < p)[:, None] & (k < d)[None, :])
