"""Who counts as far, and how much: builders of the additive log-weights F.

F is (n, m) with entries in [-inf, inf) and changes the denominator alone: 0 leaves a candidate as it is, -inf takes it
out, log w counts it w times. No gradient flows through F. Builders add up with `+`.

    except_self()                              an anchor is not its own negative
    masked(mask)                               candidates that do not count
    weighted(w)                                importance weights
    except_likely_positives(a, b, threshold)   false negatives, found by reference vectors
    harder(beta)                               negatives count more the more similar they are
    hardest(alpha)                             the most similar negatives alone
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.near import Pull

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from nearfar.engines.sharded import Shard

__all__ = ["Far", "except_likely_positives", "except_self", "harder", "hardest", "masked", "weighted"]


def except_self() -> Far:
    """Candidate i is anchor i itself and takes no part in its denominator.

    For anchors contrasted with themselves: `contrast(z, z, near.same_label(y), far.except_self())` is SupCon.
    """
    return _ExceptSelf()


def masked(mask: Bool[Tensor, "n m"]) -> Far:
    """Candidates where `mask` is true take no part in the denominator.

    Under `group`, give this process's rows against the candidates of the whole batch.
    """
    if mask.dtype != torch.bool or mask.ndim != 2:
        raise ValueError(f"far.masked() takes a boolean matrix (n, m), got {mask.dtype} of shape {tuple(mask.shape)}")
    return _Added(torch.zeros(mask.shape, device=mask.device).masked_fill_(mask, -torch.inf), "masked")


def weighted(w: Float[Tensor, "n m"]) -> Far:
    """Candidate j counts w_ij >= 0 times in anchor i's denominator.

    Under `group`, give this process's rows against the candidates of the whole batch.
    """
    if w.ndim != 2 or not bool((w >= 0).all()) or not bool(torch.isfinite(w).all()):
        raise ValueError(f"far.weighted() takes a finite matrix (n, m) with entries >= 0, got shape {tuple(w.shape)}")
    return _Added(w.detach().log(), "weighted")


def except_likely_positives(
    a: Float[Tensor, "n k"],
    b: Float[Tensor, "m k"],
    threshold: float | Literal["positive"] = "positive",
    margin: float = 0.0,
) -> Far:
    """Candidates whose reference vector is too similar to the anchor's are left out: probably false negatives.

    Candidate j leaves anchor i's denominator when cos(a_i, b_j) > threshold. Positives (P_ij > 0) always stay.

    Args:
        a: Reference vectors of the anchors, from a guide model.
        b: Reference vectors of the candidates, in the same space.
        threshold: A cosine; or `"positive"`, the anchor's own mean cosine with its positives minus `margin`, as in
            GISTEmbed.
        margin: Subtracted from the threshold; positive values leave out more.

    Source: Solatorio 2024, GISTEmbed; Wang et al. 2024, MultiCSR (absolute threshold).
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"reference vectors must be (n, k) and (m, k), got {tuple(a.shape)} and {tuple(b.shape)}")
    if isinstance(threshold, str) and threshold != "positive":
        raise ValueError(f'threshold={threshold!r} is not known; use a cosine or "positive"')
    # A comparison with NaN is false: the candidate would stay in without a word.
    if not bool(torch.isfinite(a).all()) or not bool(torch.isfinite(b).all()):
        raise ValueError("far.except_likely_positives(): a reference vector holds NaN or infinity")
    return _ExceptLikelyPositives(a.detach(), b.detach(), threshold, margin)


def harder(beta: float) -> Far:
    """Negatives count exp(beta * s_ij) times, s_ij their similarity to the anchor; positives (P_ij > 0) once.

    beta > 0 stresses the hard ones on top of what the temperature does; no gradient flows through the weight.

    Source: Robinson et al. 2021, Contrastive Learning with Hard Negative Samples, without their normalising mean.
    """
    return _Harder(float(beta))


def hardest(alpha: float) -> Far:
    """Of each anchor's negatives only the fraction `alpha` that is most similar to it takes part in the denominator.

    Of n negatives max(1, round(alpha * n)) stay, and all that tie with the last of these. Positives (P_ij > 0) always
    stay and are not counted; nor is what another builder in the sum leaves out. No gradient flows through the choice.

    Args:
        alpha: In (0, 1]; 1 leaves every negative in.

    Source: Wang & Liu 2021, Understanding the Behaviour of Contrastive Loss (explicit hard negative sampling).
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"far.hardest() takes a fraction in (0, 1], got {alpha}")
    return _Hardest(float(alpha))


class Far(ABC):
    """What every builder here returns. To write one of your own, implement `bind`, `add_to` and `transposed`."""

    #: F_ij of the opposite direction is the same number, so that one pass can serve both directions.
    mirrors: bool = True
    #: No F_ij is above 0.
    lowers: bool = False
    #: It adds to a block without making a matrix of its size. An engine's blocks can be larger then.
    lean: bool = False

    @abstractmethod
    def bind(self, n: int, m: int, like: Tensor) -> Far:
        """Check against n anchors and m candidates, and move to the dtype and device of `like`."""

    @abstractmethod
    def add_to(self, x: Float[Tensor, "b m"], rows: slice, pull: Pull, temperature: float) -> None:
        """x_ij += F_ij in place, for a block of rows of x = S / temperature."""

    @abstractmethod
    def transposed(self) -> Far:
        """F of the opposite direction."""

    def sharded(self, shard: Shard) -> Far:
        """This process's rows, against the candidates of every process."""
        raise ValueError(f"{type(self).__name__} does not say how it is sharded over processes; implement `sharded`")

    def __add__(self, other: Far) -> Far:
        if not isinstance(other, Far):
            return NotImplemented
        return _Sum((*_terms(self), *_terms(other)))


def _terms(far: Far) -> tuple[Far, ...]:
    return far.terms if isinstance(far, _Sum) else (far,)


@dataclass(frozen=True)
class _Sum(Far):
    terms: tuple[Far, ...]

    @property
    def mirrors(self) -> bool:  # type: ignore[override]
        return all(term.mirrors for term in self.terms)

    @property
    def lowers(self) -> bool:  # type: ignore[override]
        return all(term.lowers for term in self.terms)

    @property
    def lean(self) -> bool:  # type: ignore[override]
        return all(term.lean for term in self.terms)

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        # `hardest` chooses among what the others leave, by the similarities that it saw before them: it holds them.
        alphas = [term.alpha for term in self.terms if isinstance(term, _Hardest)]
        if alphas:
            others = tuple(term for term in self.terms if not isinstance(term, _Hardest))
            return _Hardest(min(alphas), _Sum(others).bind(n, m, like) if others else None)
        # `harder` reads the similarities, so it goes first, while the block still holds them, and only once.
        beta = sum(term.beta for term in self.terms if isinstance(term, _Harder))
        rest = tuple(term.bind(n, m, like) for term in self.terms if not isinstance(term, _Harder))
        return _Sum((_Harder(beta), *rest) if beta else rest)

    def add_to(self, x: Tensor, rows: slice, pull: Pull, temperature: float) -> None:
        for term in self.terms:
            term.add_to(x, rows, pull, temperature)

    def transposed(self) -> Far:
        return _Sum(tuple(term.transposed() for term in self.terms))

    def sharded(self, shard: Shard) -> Far:
        return _Sum(tuple(term.sharded(shard) for term in self.terms))


@dataclass(frozen=True)
class _ExceptSelf(Far):
    lowers = True
    lean = True

    offset: int = 0
    pairs: int | None = None
    many: bool = False  # transposed: rows beyond the columns have no self among them

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        if n > m and not self.many:
            raise ValueError(
                f"far.except_self() takes candidate i to be anchor i, but there are {n} anchors and {m} candidates"
            )
        return replace(self, pairs=min(n, m) if self.pairs is None else self.pairs)

    def add_to(self, x: Tensor, rows: slice, pull: Pull, temperature: float) -> None:
        assert self.pairs is not None
        count = max(0, self.pairs - rows.start)
        x.diagonal(offset=self.offset + rows.start)[:count].fill_(-torch.inf)

    def transposed(self) -> Far:
        return replace(self, many=not self.many)

    def sharded(self, shard: Shard) -> Far:
        return replace(self, offset=shard.offset, pairs=shard.pairs, many=True)


@dataclass(frozen=True)
class _Added(Far):
    log_weights: Tensor
    name: str

    lean = True

    @property
    def lowers(self) -> bool:  # type: ignore[override]
        return self.name == "masked"

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        if self.log_weights.shape != (n, m):
            raise ValueError(f"far.{self.name}() has shape {tuple(self.log_weights.shape)}, but F must be {(n, m)}")
        return replace(self, log_weights=self.log_weights.to(like.device, like.dtype))

    def add_to(self, x: Tensor, rows: slice, pull: Pull, temperature: float) -> None:
        x += self.log_weights[rows]

    def transposed(self) -> Far:
        return replace(self, log_weights=self.log_weights.T)

    def sharded(self, shard: Shard) -> Far:
        return self


@dataclass(frozen=True)
class _ExceptLikelyPositives(Far):
    a: Tensor
    b: Tensor
    threshold: float | Literal["positive"]
    margin: float

    lowers = True

    @property
    def mirrors(self) -> bool:  # type: ignore[override]
        return self.threshold != "positive"

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        if len(self.a) != n or len(self.b) != m:
            raise ValueError(
                f"far.except_likely_positives() got {len(self.a)} and {len(self.b)} reference vectors "
                f"for {n} anchors and {m} candidates"
            )
        a, b = (F.normalize(x.to(like.device, like.dtype), dim=1) for x in (self.a, self.b))
        return replace(self, a=a, b=b)

    def add_to(self, x: Tensor, rows: slice, pull: Pull, temperature: float) -> None:
        guide = self.a[rows] @ self.b.T
        if self.threshold == "positive":
            total = pull.total()
            threshold = torch.where(total > 0, pull.along(guide) / total, torch.inf)[:, None]
        else:
            threshold = self.threshold
        likely = guide > threshold - self.margin
        pull.spare(likely)
        x.masked_fill_(likely, -torch.inf)

    def transposed(self) -> Far:
        return replace(self, a=self.b, b=self.a)

    def sharded(self, shard: Shard) -> Far:
        return replace(self, b=shard.gather(self.b))


@dataclass(frozen=True)
class _Harder(Far):
    beta: float

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        return self

    def add_to(self, x: Tensor, rows: slice, pull: Pull, temperature: float) -> None:
        negative = torch.ones_like(x, dtype=torch.bool)
        pull.spare(negative)
        x.addcmul_(x, negative.to(x.dtype), value=self.beta * temperature)

    def transposed(self) -> Far:
        return self

    def sharded(self, shard: Shard) -> Far:
        return self


@dataclass(frozen=True)
class _Hardest(Far):
    alpha: float
    others: Far | None = None  # bound; None: there are none

    mirrors = False

    @property
    def lowers(self) -> bool:  # type: ignore[override]
        return self.others is None or self.others.lowers

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        return self

    def add_to(self, x: Tensor, rows: slice, pull: Pull, temperature: float) -> None:
        s = x.clone()
        if self.others is not None:
            self.others.add_to(x, rows, pull, temperature)
        negative = x > -torch.inf
        pull.spare(negative)
        s.masked_fill_(~negative, -torch.inf)
        kept = (self.alpha * negative.sum(1)).round_().long().clamp_(min=1)
        threshold = s.topk(int(kept.max()), dim=1).values.gather(1, kept[:, None] - 1)
        x.masked_fill_(negative & (s < threshold), -torch.inf)

    def transposed(self) -> Far:
        return self

    def sharded(self, shard: Shard) -> Far:
        return self
