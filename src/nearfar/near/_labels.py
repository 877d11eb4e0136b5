"""Targets from labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.blocks import DenseTargets, Near, Shard, SparseTargets, Targets

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


def same_label(a: Int[Tensor, " n"] | Sequence[int], b: Int[Tensor, " m"] | Sequence[int] | None = None) -> Near:
    """Candidates with the anchor's label attract it, each with 1 / (number of them).

    Args:
        a: Labels of the anchors.
        b: Labels of the candidates. None: the first n candidates are the anchors themselves, and no anchor attracts
            itself (add `far.except_self()` to remove it from the denominator too, as in SupCon); candidates after the
            first n have no label and are extra negatives.
    """
    return _SameLabel(_labels(a, "a"), None if b is None else _labels(b, "b"), one_side=b is None or b is a)


@dataclass(frozen=True)
class _SameLabel(Near):
    a: Tensor
    b: Tensor | None
    one_side: bool = False  # anchors and candidates have the same labels
    turned: bool = False  # transposed with b None: rows after the labels are extra candidates
    offset: int = 0
    self_excluded: bool | None = None
    normalise: Literal["rows", "columns"] = "rows"
    known_a: Bool[Tensor, " n"] | None = None  # which have a label; None: all
    known_b: Bool[Tensor, " m"] | None = None
    share: Tensor | None = None  # 1 / number of positives: of each row, or of each column
    groups: _Groups | None = None  # bound and symmetric, with few positives
    like: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        # Positives of one another have the same label and so the same number of positives.
        return self.one_side and self.normalise == "rows"

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        known_a, known_b = self.known_a, self.known_b
        if self.b is None:
            a, known_a, b, known_b = self._with_extra(n, m)
        else:
            a, b = self.a, self.b
        if len(a) != n or len(b) != m:
            raise ValueError(
                f"near.same_label() got {len(self.a)} anchor labels and {len(b)} candidate labels "
                f"for {n} anchors and {m} candidates"
            )
        excluded = self.b is None if self.self_excluded is None else self.self_excluded
        # Small consecutive ids make both the comparison and the counting cheap.
        _, ids = torch.unique(torch.cat([a.to(like.device), b.to(like.device)]), return_inverse=True)
        labels = int(ids.max()) + 1
        a, b = ids[:n].int(), ids[n:].int()
        # What has no label equals nothing.
        for x, known, nobody in ((a, known_a, labels), (b, known_b, labels + 1)):
            if known is not None:
                x[~known.to(x.device)] = nobody
        bound = replace(self, a=a, b=b, self_excluded=excluded, like=like, known_a=None, known_b=None)
        groups = _Groups.of(a, labels) if self.symmetric and n == m and like.device.type == "cpu" else None
        return replace(bound, share=bound._share(labels + 2), groups=groups)

    def _with_extra(self, n: int, m: int) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
        """Labels of n anchors and m candidates, of which those without a label are extra candidates."""
        extra = n - m if self.turned else m - n
        if extra <= 0 or len(self.a) != min(n, m):
            return self.a, None, self.a, None
        padded = F.pad(self.a, (0, extra))
        known = torch.arange(len(padded), device=padded.device) < len(self.a)
        return (padded, known, self.a, None) if self.turned else (self.a, None, padded, known)

    def _share(self, labels: int) -> Tensor:
        assert self.b is not None
        mine, others = (self.a, self.b) if self.normalise == "rows" else (self.b, self.a)
        found = torch.bincount(others, minlength=labels)[mine.long()]
        if self.self_excluded:
            found = found - 1
        found = found.to(self.like.dtype)  # the reciprocal of whole numbers would be one of float32
        return torch.where(found > 0, 1 / found.clamp(min=1), 0)

    def at(self, rows: slice) -> Targets:
        return self._block(rows, 0)

    def corner(self, rows: slice) -> Targets:
        if self.groups is None:
            return self._block(rows, rows.start)
        assert self.share is not None
        i, j = self.groups.pairs(rows)
        kept = j >= rows.start
        if self.self_excluded:
            kept &= i != j
        i, j = i[kept], j[kept]
        size = (rows.stop - rows.start, len(self.a) - rows.start)
        return SparseTargets(i - rows.start, j - rows.start, self.share[i], size)

    def _block(self, rows: slice, first: int) -> Targets:
        assert self.b is not None
        assert self.share is not None
        equal = self.a[rows, None] == self.b[first:]
        if self.self_excluded:
            equal.diagonal(offset=self.offset + rows.start - first).fill_(False)
        share = self.share[rows, None] if self.normalise == "rows" else self.share[first:]
        return DenseTargets(torch.where(equal, share, 0))

    def transposed(self) -> Near:
        return replace(self, turned=not self.turned) if self.b is None else replace(self, a=self.b, b=self.a)

    def over_columns(self) -> Near:
        assert self.b is not None
        turned = replace(self, normalise="columns")
        return replace(turned, share=turned._share(int(torch.cat([self.a, self.b]).max()) + 1))

    def sharded(self, shard: Shard) -> Near:
        if self.b is not None:
            return replace(self, b=shard.gather(self.b), offset=shard.offset, self_excluded=False)
        a, known_a, b, known_b = self._with_extra(shard.rows, shard.candidates)
        known = torch.ones_like(b) if known_b is None else known_b
        b, known_b = shard.gather(torch.stack([b, known.to(b.dtype)], dim=1)).unbind(1)
        return replace(self, a=a, b=b, known_a=known_a, known_b=known_b.bool(), offset=shard.offset, self_excluded=True)


@dataclass(frozen=True)
class _Groups:
    """The members of each label, for finding the positives of a few anchors without a comparison with all."""

    ids: Tensor
    counts: Tensor
    first: Tensor
    members: Tensor

    @classmethod
    def of(cls, ids: Int[Tensor, " n"], labels: int) -> _Groups | None:
        """None where indices would take more time than a matrix."""
        counts = torch.bincount(ids, minlength=labels)
        if int((counts * counts).sum()) * 32 > len(ids) ** 2:
            return None
        return cls(ids.long(), counts, counts.cumsum(0) - counts, torch.argsort(ids, stable=True))

    def pairs(self, rows: slice) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
        """(i, j) for each i of `rows` and each j of all with the same label; i = j too."""
        ids = self.ids[rows]
        counts = self.counts[ids]
        i = torch.arange(rows.start, rows.stop, device=ids.device).repeat_interleave(counts)
        rank = torch.arange(len(i), device=ids.device) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        return i, self.members[self.first[self.ids[i]] + rank]


def _labels(labels: Tensor | Sequence[int], name: str) -> Tensor:
    labels = torch.as_tensor(labels)
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"invalid labels {name}: must be a vector of integers, got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    return labels
