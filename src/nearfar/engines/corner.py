"""The upper triangle of x = S / temperature in blocks of rows, for two passes: the first blocks stay in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.engines.problem import Problem
from nearfar.engines.similarity_blocks import LEAST_ROWS, block_bytes, scratch

if TYPE_CHECKING:
    from jaxtyping import Float

#: Most rows of a block. Higher ones waste more: of the square on the diagonal, half is needed.
MOST_ROWS = 768
#: Memory for kept blocks, in blocks of S as the other walks use them. On a CPU, a batch of 4,096 is kept whole.
KEPT_BLOCKS = 2


class Corner:
    """Blocks of the upper triangle of x: some rows, and all columns from the first of these rows on.

    Args:
        problem: A symmetric problem.
        block_rows: Rows in a block; None chooses by size.
        keep: Whether there is a second pass. Then blocks are kept until their memory is full.
    """

    def __init__(self, problem: Problem, block_rows: int | None, *, keep: bool) -> None:
        n, anchors = len(problem.anchors), problem.anchors
        b = min(block_rows or min(MOST_ROWS, max(LEAST_ROWS, n // 10)), n)
        self.problem = problem
        self.rows = [slice(start, min(start + b, n)) for start in range(0, n, b)]
        room = KEPT_BLOCKS * block_bytes(anchors.device) // anchors.element_size() if keep else 0
        sizes = [(rows.stop - rows.start) * (n - rows.start) for rows in self.rows]
        self.kept = 0
        while self.kept < len(sizes) and sum(sizes[: self.kept + 1]) <= room:
            self.kept += 1
        # What is kept comes first, then room for the widest of the other blocks, or of the copies of those kept.
        memory = scratch(sum(sizes[: self.kept]) + sizes[0], anchors)
        self._blocks = memory.split([*sizes[: self.kept], sizes[0]])

    def first_pass(self) -> Iterator[tuple[slice, Float[Tensor, "b d"], Float[Tensor, "b rest"]]]:
        """(rows, their anchors / temperature, x). x may be changed, and is what the second pass gets if it is kept."""
        for number, rows in enumerate(self.rows):
            yield rows, *self._computed(number, rows)

    def second_pass(self) -> Iterator[tuple[slice, Float[Tensor, "b d"], Float[Tensor, "b rest"], bool]]:
        """(rows, their anchors / temperature, x, whether x is as the first pass left it)."""
        for number, rows in enumerate(self.rows):
            if number < self.kept:
                yield rows, self._scaled(rows), self._memory_of(number, rows), True
            else:
                yield rows, *self._computed(number, rows), False

    def to_overwrite(self, x: Float[Tensor, "b rest"], rows: slice) -> Float[Tensor, "b rest"]:
        """x itself, or a copy if it is kept."""
        if self.rows.index(rows) >= self.kept:
            return x
        return self._blocks[-1][: x.numel()].view_as(x).copy_(x)

    def _computed(self, number: int, rows: slice) -> tuple[Tensor, Tensor]:
        a = self._scaled(rows)
        return a, torch.mm(a, self.problem.candidates[rows.start :].T, out=self._memory_of(number, rows))

    def _scaled(self, rows: slice) -> Float[Tensor, "b d"]:
        return self.problem.anchors[rows] / self.problem.temperature

    def _memory_of(self, number: int, rows: slice) -> Float[Tensor, "b rest"]:
        shape = rows.stop - rows.start, len(self.problem.candidates) - rows.start
        return self._blocks[min(number, self.kept)][: shape[0] * shape[1]].view(shape)
