"""Targets with label smoothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.blocks import Near, Shard, Targets
from nearfar.near._rows import blocks_of_rows

if TYPE_CHECKING:
    from jaxtyping import Float


def smoothed(near: Near, epsilon: float) -> Near:
    """Label smoothing over the candidates: P_ij becomes (1 - epsilon) P_ij + epsilon * (sum_k P_ik) / m.

    Every candidate receives the same share, including one that `far` removes from the denominator and, where the
    anchors are the candidates, the anchor itself (whose cosine is constant, so it adds no gradient). The sums of the
    rows stay the same, so an anchor without a positive still takes no part. Builders of F that distinguish positives
    from negatives go by P before smoothing.

    Args:
        near: Builder of P.
        epsilon: Fraction of the weight that is spread, in [0, 1].

    Source: Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, section 7.
    """
    if not isinstance(near, Near):
        raise ValueError(f"expected a builder of nearfar.near, got {near!r}")
    if not 0 <= epsilon <= 1:
        raise ValueError(f"invalid epsilon: must be in [0, 1], got {epsilon}")
    return _Smoothed(near, float(epsilon))


@dataclass(frozen=True)
class _Smoothed(Near):
    near: Near
    epsilon: float
    like: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)
    n: int = 0
    columns: Float[Tensor, " m"] | None = None  # weights of the candidates as anchors; None: rows have their own

    @property
    def lean(self) -> bool:  # type: ignore[override]
        return self.near.lean

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        return replace(self, near=self.near.bind(n, m, like), like=like.new_ones(m), n=n)

    def at(self, rows: slice) -> Targets:
        targets = self.near.at(rows)
        if self.columns is None:
            return SmoothedTargets(targets, self.epsilon, targets.row_sums() / len(self.like), self.like)
        return SmoothedTargets(targets, self.epsilon, self.like.new_ones(rows.stop - rows.start), self.columns / self.n)

    def transposed(self) -> Near:
        return replace(self, near=self.near.transposed())

    def over_columns(self) -> Near | None:
        theirs = self.near.over_columns()
        if theirs is None:
            return None
        weights = torch.zeros_like(self.like)
        for rows in blocks_of_rows(self.n):
            weights += theirs.at(rows).column_sums()
        return replace(self, near=theirs, columns=weights)

    def sharded(self, shard: Shard) -> Near:
        return replace(self, near=self.near.sharded(shard))


class SmoothedTargets(Targets):
    """(1 - epsilon) P + epsilon * row column^T; the second term is never written out."""

    def __init__(self, targets: Targets, epsilon: float, row: Float[Tensor, " b"], column: Float[Tensor, " m"]) -> None:
        self.targets, self.kept, self.row, self.column = targets, 1 - epsilon, epsilon * row, column

    def row_sums(self) -> Tensor:
        """See `Targets`."""
        return self.kept * self.targets.row_sums() + self.row * self.column.sum()

    def column_sums(self) -> Tensor:
        """See `Targets`."""
        return self.kept * self.targets.column_sums() + self.row.sum() * self.column

    def weighted_row_sums(self, x: Tensor) -> Tensor:
        """See `Targets`."""
        return self.kept * self.targets.weighted_row_sums(x) + self.row * (x @ self.column)

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        """See `Targets`."""
        self.targets.subtract_from(x, self.kept * scale)
        x.addr_(scale * self.row, self.column, alpha=-1)

    def matmul(self, y: Tensor) -> Tensor:
        """See `Targets`."""
        return self.kept * self.targets.matmul(y) + torch.outer(self.row, self.column @ y)

    def scatter_add(self, y: Tensor, out: Tensor) -> None:
        """See `Targets`."""
        self.targets.scatter_add(self.kept * y, out)
        out.addr_(self.column, self.row @ y)

    def clear_positives(self, mask: Tensor) -> None:
        """See `Targets`; as before smoothing."""
        self.targets.clear_positives(mask)

    def positive_means(self, x: Tensor) -> Tensor:
        """See `Targets`; as before smoothing."""
        return self.targets.positive_means(x)

    def to_dense(self) -> Tensor:
        """See `Targets`."""
        return self.kept * self.targets.to_dense() + torch.outer(self.row, self.column)
