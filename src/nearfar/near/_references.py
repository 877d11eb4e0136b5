"""Targets from reference vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.blocks import DenseTargets, Near, Shard, Targets
from nearfar.near._rows import Normalised, blocks_of_rows

if TYPE_CHECKING:
    from jaxtyping import Float

Weigh = Callable[[Tensor], Tensor]
_WEIGHINGS: dict[str, Weigh] = {
    "half": lambda cosine: cosine.add_(1).div_(2),
    "relu": torch.relu_,
}


def by_similarity(
    a: Float[Tensor, "n k"], b: Float[Tensor, "m k"], weigh: Literal["half", "relu"] | Weigh = "half"
) -> Near:
    """Continuous weights: P_ij = w_ij / sum_j w_ij, w_ij = weigh(cos(a_i, b_j)).

    Args:
        a: Reference vectors of the anchors; no gradient reaches them.
        b: Reference vectors of the candidates, in the same space as `a`.
        weigh: Elementwise function from a cosine to a weight >= 0: `"half"`, (1 + cos) / 2; `"relu"`, max(cos, 0);
            `power(k)`; or a function of your own, which may work in place.

    Source: Srinivasa et al. 2023, Cross-Modal Transfer with Continuously Weighted Contrastive Loss.
    """
    if isinstance(weigh, str) and weigh not in _WEIGHINGS:
        raise ValueError(f"invalid weigh: must be one of {sorted(_WEIGHINGS)} or a function, got {weigh!r}")
    _check(a, b)
    return _BySimilarity(a.detach(), b.detach(), _WEIGHINGS[weigh] if isinstance(weigh, str) else weigh)


def by_softmax(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"], temperature: float) -> Near:
    """A softmax over the cosines of reference vectors: P_ij = exp(cos(a_i, b_j) / temperature) / sum over j.

    A low temperature concentrates a row on its nearest candidates, a high one spreads it evenly. Where both sides have
    the same references, the symmetric loss has the same P in both directions.

    Args:
        a: Reference vectors of the anchors; no gradient reaches them.
        b: Reference vectors of the candidates, in the same space as `a`.
        temperature: Temperature of the targets, > 0; independent of that of the loss.

    Source: Burdisso et al. 2024, Dialog2Flow: Pre-training Soft-Contrastive Action-Driven Sentence Embeddings.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"invalid temperature of near.by_softmax(): must be > 0, got {temperature}")
    _check(a, b)
    return _BySoftmax(a.detach(), b.detach(), temperature)


def power(k: float) -> Weigh:
    """A function for `by_similarity`: max(cos, 0)^k. A higher k gives similar candidates less weight; 1 is `"relu"`."""
    if not k > 0:
        raise ValueError(f"invalid k: must be > 0, got {k}")
    return lambda cosine: cosine.relu_().pow_(k)


@dataclass(frozen=True)
class _ByReference(Near):
    a: Tensor
    b: Tensor

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        if len(self.a) != n or len(self.b) != m:
            raise ValueError(
                f"near.{type(self).__name__.replace('_By', 'by_').lower()}() got {len(self.a)} and {len(self.b)} "
                f"reference vectors for {n} anchors and {m} candidates"
            )
        a, b = (F.normalize(x.to(like.device, like.dtype), dim=1) for x in (self.a, self.b))
        return replace(self, a=a, b=b)

    def transposed(self) -> Near:
        return replace(self, a=self.b, b=self.a)

    def sharded(self, shard: Shard) -> Near:
        return replace(self, b=shard.gather(self.b))


@dataclass(frozen=True)
class _BySimilarity(Normalised, _ByReference):
    weigh: Weigh
    share: Tensor | None = None

    def _raw(self, rows: slice) -> Tensor:
        w = self.weigh(self.a[rows] @ self.b.T)
        # -1e-8 is a rounded zero; anything lower, or NaN, is an error of the function.
        if not float(w.amin()) >= -1e-6:
            raise ValueError("invalid weigh of near.by_similarity(): returned a negative or NaN weight, must be >= 0")
        return w.clamp_(min=0)

    def over_columns(self) -> Near:
        return replace(self, share=self._column_share(len(self.a), self.a.new_zeros(len(self.b))))


@dataclass(frozen=True)
class _BySoftmax(_ByReference):
    temperature: float
    logz: Tensor | None = None  # of the columns; None: rows are normalised

    def _scores(self, rows: slice) -> Tensor:
        return (self.a[rows] @ self.b.T).div_(self.temperature)

    def at(self, rows: slice) -> Targets:
        x = self._scores(rows)
        return DenseTargets(x.softmax(1) if self.logz is None else x.sub_(self.logz).exp_())

    def over_columns(self) -> Near:
        logz = self.a.new_full((len(self.b),), -torch.inf)
        for rows in blocks_of_rows(len(self.a)):
            torch.logaddexp(logz, self._scores(rows).logsumexp(0), out=logz)
        return replace(self, logz=logz)


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"expected reference vectors (n, k) and (m, k), got {tuple(a.shape)} and {tuple(b.shape)}")
