"""Targets from the overlap of sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.blocks import Near, Shard
from nearfar.near._rows import Normalised

if TYPE_CHECKING:
    from jaxtyping import Int


def by_overlap(
    a: Int[Tensor, "n views k"],
    b: Int[Tensor, "m views k"] | None = None,
    items_a: Int[Tensor, " n"] | None = None,
    items_b: Int[Tensor, " m"] | None = None,
) -> Near:
    """Continuous weights from the overlap of sets, seen in one or several views: P_ij = w_ij / sum_j w_ij.

        J_v  = |a_iv & b_jv| / |a_iv | b_jv|                         0 where both sets are empty
        w_ij = mean of J_v over the views in which a set is not empty; 0 where all are; 1 for the same item

    Args:
        a: Sets of the anchors: numbers of their elements in each view, filled up with negative numbers. With several
            processes, the numbers mean the same in all of them, and `k` is the same.
        b: Sets of the candidates. None: the first n candidates are the anchors themselves, and no anchor attracts
            itself (add `far.except_self()`); candidates after the first n are extra negatives.
        items_a: The item of each anchor, at least 0, such as the number of its row: two vectors of one item are fully
            near, even if its sets are empty. None: no two are of one item.
        items_b: The same of the candidates, where they are not the anchors.

    Source: He et al. 2022, SPACE-2: Tree-Structured Semi-Supervised Contrastive Pre-training.
    """
    for name, sets, items in (("a", a, items_a), ("b", b, items_b)):
        if sets is not None and (sets.ndim != 3 or sets.is_floating_point()):
            found = f"{sets.dtype} of shape {tuple(sets.shape)}"
            raise ValueError(f"invalid sets {name}: must be integers (n, views, k), got {found}")
        if items is not None and (sets is None or items.shape != sets.shape[:1]):
            raise ValueError(f"invalid items_{name}: expected one for each row of {name}, got {tuple(items.shape)}")
    if b is not None and a.shape[1] != b.shape[1]:
        raise ValueError(f"near.by_overlap(): expected the same views on both sides, got {a.shape[1]} and {b.shape[1]}")
    items = a.new_full((len(a),), -1) if items_a is None else items_a
    return _ByOverlap(a, items, b, b.new_full((len(b),), -1) if b is not None and items_b is None else items_b)


@dataclass(frozen=True)
class _ByOverlap(Normalised):
    a: Tensor
    items_a: Tensor
    b: Tensor | None
    items_b: Tensor | None
    turned: bool = False  # transposed with b None: rows after the sets are extra candidates
    offset: int = 0
    self_excluded: bool | None = None
    members: tuple[tuple[Tensor, Tensor], ...] = ()  # of each view: which elements the sets of both sides contain
    share: Tensor | None = None

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        a, items_a, b, items_b = self._with_extra(n, m)
        if (len(a), len(b)) != (n, m):
            raise ValueError(
                f"near.by_overlap() got sets for {len(a)} anchors and {len(b)} candidates, for {n} anchors and "
                f"{m} candidates"
            )
        members = []
        for view in range(a.shape[1]):
            both = torch.cat([a[:, view].flatten(), b[:, view].flatten()]).to(like.device)
            elements, places = torch.unique(both.clamp(min=-1), return_inverse=True)
            first, second = places.split([a[:, view].numel(), b[:, view].numel()])
            # The first element is -1, where there is any padding; it belongs to no set.
            begin = int(len(elements) > 0 and int(elements[0]) < 0)
            sides = ((n, first), (m, second))
            members.append(
                tuple(
                    like.new_zeros(rows, len(elements)).scatter_(1, at.view(rows, -1), 1)[:, begin:]
                    for rows, at in sides
                )
            )
        return replace(
            self,
            items_a=items_a.to(like.device),
            items_b=items_b.to(like.device),
            self_excluded=self.b is None if self.self_excluded is None else self.self_excluded,
            members=tuple(members),
        )

    def _with_extra(self, n: int, m: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sets and items of n anchors and m candidates; extra candidates have no elements and are no item."""
        if self.b is not None and self.items_b is not None:
            return self.a, self.items_a, self.b, self.items_b
        extra = n - m if self.turned else m - n
        if extra <= 0 or len(self.a) != min(n, m):
            return self.a, self.items_a, self.a, self.items_a
        padded = F.pad(self.a, (0, 0, 0, 0, 0, extra), value=-1), F.pad(self.items_a, (0, extra), value=-1)
        return (*padded, self.a, self.items_a) if self.turned else (self.a, self.items_a, *padded)

    def _raw(self, rows: slice) -> Tensor:
        assert self.items_b is not None
        size = (rows.stop - rows.start, len(self.items_b))
        total, counted = (self.members[0][0].new_zeros(size) for _ in range(2))
        for a, b in self.members:
            common = a[rows] @ b.T
            united = a[rows].sum(1, keepdim=True) + b.sum(1) - common
            total += torch.where(united > 0, common / united, 0)
            counted += united > 0
        items = self.items_a[rows, None]
        w = torch.where((items == self.items_b) & (items >= 0), 1, total.div_(counted.clamp_(min=1)))
        if self.self_excluded:
            w.diagonal(offset=self.offset + rows.start).fill_(0)
        return w

    def transposed(self) -> Near:
        if self.b is None or self.items_b is None:
            return replace(self, turned=not self.turned)
        return replace(self, a=self.b, items_a=self.items_b, b=self.a, items_b=self.items_a)

    def over_columns(self) -> Near:
        assert self.items_b is not None
        totals = self.members[0][0].new_zeros(len(self.items_b))
        return replace(self, share=self._column_share(len(self.items_a), totals))

    def sharded(self, shard: Shard) -> Near:
        a, items_a, b, items_b = self._with_extra(shard.rows, shard.candidates)
        return replace(
            self,
            a=a,
            items_a=items_a,
            b=shard.gather(b),
            items_b=shard.gather(items_b),
            offset=shard.offset,
            self_excluded=self.b is None,
        )
