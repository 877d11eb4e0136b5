"""Denominators without likely false negatives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.blocks import Far, Shard, Targets
from nearfar.far._vectors import check_sizes, check_vectors

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


def except_likely_positives(
    a: Float[Tensor, "n k"],
    b: Float[Tensor, "m k"],
    threshold: float | Literal["positive"] = "positive",
    margin: float = 0.0,
    unjudged: int = 0,
) -> Far:
    """Removes candidates whose reference vector is too similar to that of the anchor: probably false negatives.

    Candidate j leaves the denominator of anchor i when cos(a_i, b_j) > threshold. Positives (P_ij > 0) always stay.

    Args:
        a: Reference vectors of the anchors, from a guide model.
        b: Reference vectors of the candidates, in the same space.
        threshold: A cosine; or `"positive"`, the mean cosine of the anchor with its own positives minus `margin`, as in
            GISTEmbed.
        margin: Subtracted from the threshold; positive values remove more.
        unjudged: Number of candidates after those of `b` that have no reference vector; they always stay.

    Source: Solatorio 2024, GISTEmbed; Wang et al. 2024, MultiCSR (absolute threshold).
    """
    if isinstance(threshold, str) and threshold != "positive":
        raise ValueError(f'invalid threshold: must be a cosine or "positive", got {threshold!r}')
    # A comparison with NaN is false: the candidate would stay in without a word.
    check_vectors(a, b, "except_likely_positives")
    symmetric = a is b and threshold != "positive" and not unjudged
    judged = None if not unjudged else torch.arange(len(b) + unjudged, device=b.device) < len(b)
    b = a if a is b and not unjudged else F.pad(b, (0, 0, 0, unjudged))
    return _ExceptLikelyPositives(a.detach(), b.detach(), threshold, margin, judged, symmetric)


@dataclass(frozen=True)
class _ExceptLikelyPositives(Far):
    a: Tensor
    b: Tensor
    threshold: float | Literal["positive"]
    margin: float
    judged: Bool[Tensor, " m"] | None = None  # None: all
    symmetric: bool = False
    judged_rows: Bool[Tensor, " n"] | None = None  # transposed

    only_masks = True

    @property
    def mirrors(self) -> bool:  # type: ignore[override]
        return self.threshold != "positive"

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        check_sizes(self.a, self.b, n, m, "except_likely_positives")
        a, b = (F.normalize(x.to(like.device, like.dtype), dim=1) for x in (self.a, self.b))
        judged, judged_rows = (None if x is None else x.to(like.device) for x in (self.judged, self.judged_rows))
        return replace(self, a=a, b=b, judged=judged, judged_rows=judged_rows)

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        guide = self.a[rows] @ self.b.T
        threshold = self.threshold if self.threshold != "positive" else targets.positive_means(guide)[:, None]
        likely = guide > threshold - self.margin
        if self.judged is not None:
            likely &= self.judged
        if self.judged_rows is not None:
            likely &= self.judged_rows[rows, None]
        targets.clear_positives(likely)
        x.masked_fill_(likely, -torch.inf)

    def transposed(self) -> Far:
        return replace(self, a=self.b, b=self.a, judged=self.judged_rows, judged_rows=self.judged)

    def corner(self, start: int) -> Far:
        return replace(self, a=self.a[start:], b=self.b[start:])

    def sharded(self, shard: Shard) -> Far:
        # Also where all are judged: another process may have candidates that are not, and takes part in both.
        judged = torch.ones(len(self.b), dtype=torch.bool) if self.judged is None else self.judged
        return replace(self, b=shard.gather(self.b), judged=shard.gather(judged))
