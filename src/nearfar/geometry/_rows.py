"""Walks over rows of vectors that never need more memory than a block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

    Vectors = Tensor | np.ndarray

#: Rows of a block. A block of pairs is as wide.
BLOCK = 2_048
#: With more pairs than these, a mean over pairs is estimated.
MAX_PAIRS = 100_000_000


def vectors(x: Any, name: str, least: int = 1) -> Float[Tensor, "n d"]:
    """The result of `torch.as_tensor`, checked.

    Raises:
        InputError: not a matrix of finite numbers, or fewer than `least` rows.
    """
    x = torch.as_tensor(x).detach()
    if x.ndim != 2 or not x.is_floating_point():
        raise InputError(f"expected a matrix of vectors (n, d), got {x.dtype} of shape {tuple(x.shape)}", field=name)
    if len(x) < least or x.shape[1] == 0:
        raise InputError(f"expected at least {least} vectors, got shape {tuple(x.shape)}", field=name)
    for rows in blocks(x):
        if not bool((finite := torch.isfinite(x[rows]).all(1)).all()):
            row = rows.start + int((~finite).nonzero()[0])
            raise InputError(f"row {row} contains NaN or infinity", field=name, remedy="check the output of the model")
    return x


def paired_vectors(a: Any, b: Any, least: int = 1) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """Two matrices of which row i belongs to row i.

    Raises:
        InputError: as `vectors`, or the shapes differ.
    """
    a, b = vectors(a, "a", least), vectors(b, "b", least)
    if a.shape != b.shape:
        raise InputError(f"a and b must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    return a, b


def unit(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows of length one, at least in float32."""
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1)


def blocks(x: Tensor, width: int | None = None) -> Iterator[slice]:
    """Blocks of rows with at most BLOCK^2 numbers for rows of this `width`; None: BLOCK."""
    step = max(1, BLOCK * BLOCK // (width or BLOCK))
    return (slice(start, min(start + step, len(x))) for start in range(0, len(x), step))


def pieces(rows: Int[Tensor, " n"]) -> tuple[Int[Tensor, " piece"], ...]:
    """The row numbers, one block at a time."""
    return rows.split(BLOCK)


def groups(n: int, size: int, seed: int) -> tuple[Int[Tensor, " group"], ...]:
    """The numbers 0 to n - 1 in groups of about `size`, equal but for one; shuffled if there are several groups."""
    count = max(1, n // size)
    order = torch.arange(n) if count == 1 else torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return order.tensor_split(count)


def mean(x: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """The mean of the rows, each scaled to length one."""
    total = x.new_zeros(x.shape[1], dtype=torch.float64)
    for rows in blocks(x):
        total += unit(x[rows]).sum(0, dtype=torch.float64)
    return total / len(x)


def gram(x: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """X^T X of rows scaled to length one."""
    found = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for rows in blocks(x):
        some = unit(x[rows]).double()
        found.addmm_(some.T, some)
    return found
