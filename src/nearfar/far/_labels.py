"""Denominators without the anchor itself, or without what has its label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.blocks import Far, Shard, Targets

if TYPE_CHECKING:
    from jaxtyping import Int


def except_self() -> Far:
    """Candidate i is anchor i itself and is removed from its denominator.

    For anchors contrasted with themselves: `contrast(z, z, near.same_label(y), far.except_self())` is SupCon.
    """
    return _ExceptSelf()


def except_same_label(a: Int[Tensor, " n"], b: Int[Tensor, " m"]) -> Far:
    """Candidates with the label of the anchor are removed from its denominator; positives (P_ij > 0) stay.

    Labels are classes, or numbers of texts, documents or rows: what is equal to an anchor is no negative of it. A label
    that no anchor has, such as -1, keeps a candidate in every denominator.

    Args:
        a: Labels of the anchors.
        b: Labels of the candidates.
    """
    for labels, name in ((a, "a"), (b, "b")):
        if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
            raise ValueError(
                f"invalid labels {name} of far.except_same_label(): must be a vector of integers, "
                f"got {labels.dtype} of shape {tuple(labels.shape)}"
            )
    return _ExceptSameLabel(a, b)


@dataclass(frozen=True)
class _ExceptSelf(Far):
    only_masks = True
    lean = True
    symmetric = True

    offset: int = 0
    pairs: int | None = None
    turned: bool = False  # transposed: rows after the columns are not among the candidates

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        if n > m and not self.turned:
            raise ValueError(
                f"far.except_self() requires candidate i to be anchor i, but got {n} anchors and {m} candidates"
            )
        return replace(self, pairs=min(n, m) if self.pairs is None else self.pairs)

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        assert self.pairs is not None
        count = max(0, self.pairs - rows.start)
        x.diagonal(offset=self.offset + rows.start)[:count].fill_(-torch.inf)

    def transposed(self) -> Far:
        return replace(self, turned=not self.turned)

    def corner(self, start: int) -> Far:
        assert self.pairs is not None
        return replace(self, pairs=self.pairs - start)

    def sharded(self, shard: Shard) -> Far:
        return replace(self, offset=shard.offset, pairs=shard.pairs, turned=True)


@dataclass(frozen=True)
class _ExceptSameLabel(Far):
    a: Tensor
    b: Tensor

    only_masks = True

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        if len(self.a) != n or len(self.b) != m:
            raise ValueError(
                f"far.except_same_label() got {len(self.a)} and {len(self.b)} labels for {n} anchors and {m} candidates"
            )
        return replace(self, a=self.a.to(like.device), b=self.b.to(like.device))

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        equal = self.a[rows, None] == self.b
        targets.clear_positives(equal)
        x.masked_fill_(equal, -torch.inf)

    def transposed(self) -> Far:
        return replace(self, a=self.b, b=self.a)

    def sharded(self, shard: Shard) -> Far:
        return replace(self, b=shard.gather(self.b))
