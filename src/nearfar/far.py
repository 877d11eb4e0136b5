"""Which candidates count as far, and how much: builders of the additive log-weights F.

F is (n, m) with entries in [-inf, inf) and changes only the denominator: 0 keeps a candidate, -inf removes it, log w
counts it w times. Combine builders with `+`. No gradient flows through F, except with `by_distance`.

    except_self()                              an anchor is not its own negative
    except_same_label(a, b)                    a candidate with the anchor's label is not its negative
    masked(mask)                               candidates that do not count
    weighted(w)                                importance weights
    by_distance(a, b, temperature)             a Gaussian kernel of a second pair of vectors, with gradient
    except_likely_positives(a, b, threshold)   false negatives, found by reference vectors
    harder(beta)                               negatives count more the more similar they are
    hardest(alpha)                             only the most similar negatives
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.blocks import Far, FarSum, Shard, Targets

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = [
    "Far",
    "by_distance",
    "except_likely_positives",
    "except_same_label",
    "except_self",
    "harder",
    "hardest",
    "masked",
    "weighted",
]


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


def masked(mask: Bool[Tensor, "n m"]) -> Far:
    """Candidates for which `mask` is true are removed from the denominator.

    With `group`, pass the rows of this process against the candidates of the whole batch.
    """
    if mask.dtype != torch.bool or mask.ndim != 2:
        raise ValueError(
            f"far.masked(): expected a boolean matrix (n, m), got {mask.dtype} of shape {tuple(mask.shape)}"
        )
    f = torch.zeros(mask.shape, device=mask.device).masked_fill_(mask, -torch.inf)
    return _Added(f, "masked", only_masks=True)


def weighted(w: Float[Tensor, "n m"] | Float[Tensor, " m"]) -> Far:
    """Candidate j counts w_ij >= 0 times in the denominator of anchor i; or w_j times in every one, in O(m) memory.

    No gradient reaches w. With `group`, pass the rows of this process against the candidates of the whole batch; or the
    weights (m,) of the candidates of this process.
    """
    if w.ndim not in (1, 2) or not bool((w >= 0).all()) or not bool(torch.isfinite(w).all()):
        raise ValueError(
            "invalid w of far.weighted(): must be finite and >= 0, and a matrix (n, m) or a vector (m,), "
            f"got shape {tuple(w.shape)}"
        )
    f = w.detach().log()
    return _Added(f, "weighted") if w.ndim == 2 else _AddedToColumns(f)


def by_distance(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"], temperature: float) -> Far:
    """Candidate j counts exp(-|a_i - b_j|^2 / (2 temperature)) times: a Gaussian kernel of a second pair of vectors.

    Gradients reach a and b. With `near.paired()` and unit vectors on both sides of `contrast`,

        contrast(c, c, far=by_distance(u, u, tau), temperature=tau)

    is the mean over i of log sum_j exp(-(|c_i - c_j|^2 + |u_i - u_j|^2) / (2 tau)): a kernel estimate of the joint
    entropy of c and u, self included, up to its sign and the constant log n.

    Args:
        a: Second vectors of the anchors; nothing is normalised.
        b: Second vectors of the candidates, in the same space as `a`.
        temperature: Squared width of the kernel, > 0; independent of the temperature of the loss.

    Source: Louiset et al. 2024, Separating common from salient patterns with Contrastive Representation Learning
    (k-JEM).
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"invalid temperature of far.by_distance(): must be > 0, got {temperature}")
    _check_references(a, b, "by_distance")
    return _ByDistance(a, b, float(temperature), symmetric=a is b)


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
    _check_references(a, b, "except_likely_positives")
    symmetric = a is b and threshold != "positive" and not unjudged
    judged = None if not unjudged else torch.arange(len(b) + unjudged, device=b.device) < len(b)
    b = a if a is b and not unjudged else F.pad(b, (0, 0, 0, unjudged))
    return _ExceptLikelyPositives(a.detach(), b.detach(), threshold, margin, judged, symmetric)


def harder(beta: float) -> Far:
    """Negatives count exp(beta * s_ij) times, s_ij their similarity to the anchor; positives (P_ij > 0) once.

    beta > 0 gives hard negatives more weight, in addition to the temperature; no gradient flows through the weight.

    Source: Robinson et al. 2021, Contrastive Learning with Hard Negative Samples, without their normalising mean.
    """
    return _Harder(float(beta))


def hardest(alpha: float) -> Far:
    """Only the fraction `alpha` of the negatives that is most similar to the anchor takes part in its denominator.

    Of n negatives max(1, round(alpha * n)) stay, and all that tie with the last of these. Positives (P_ij > 0) always
    stay and are not counted; nor is what another builder in the sum removes. No gradient flows through the choice.

    Args:
        alpha: In (0, 1]; 1 keeps every negative.

    Source: Wang & Liu 2021, Understanding the Behaviour of Contrastive Loss (explicit hard negative sampling).
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"invalid alpha of far.hardest(): must be in (0, 1], got {alpha}")
    return _Hardest(float(alpha))


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


@dataclass(frozen=True)
class _Added(Far):
    f: Float[Tensor, "n m"]
    name: str
    only_masks: bool = False

    lean = True

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        if self.f.shape != (n, m):
            raise ValueError(f"far.{self.name}(): expected shape {(n, m)}, got {tuple(self.f.shape)}")
        return replace(self, f=self.f.to(like.device, like.dtype))

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        x += self.f[rows]

    def transposed(self) -> Far:
        return replace(self, f=self.f.T)

    def sharded(self, shard: Shard) -> Far:
        return self


@dataclass(frozen=True)
class _AddedToColumns(Far):
    f: Float[Tensor, " m"]
    turned: bool = False  # transposed: F_ij = f_i

    lean = True

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        size = n if self.turned else m
        if len(self.f) != size:
            raise ValueError(f"far.weighted(): expected {size} weights, one for each candidate, got {len(self.f)}")
        return replace(self, f=self.f.to(like.device, like.dtype))

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        x += self.f[rows, None] if self.turned else self.f

    def transposed(self) -> Far:
        return replace(self, turned=not self.turned)

    def sharded(self, shard: Shard) -> Far:
        return self if self.turned else replace(self, f=shard.gather(self.f))


@dataclass(frozen=True)
class _ByDistance(Far):
    a: Tensor
    b: Tensor
    temperature: float
    symmetric: bool = False

    lean = True

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        _check_sizes(self.a, self.b, n, m, "by_distance")
        a, b = (x.to(like.device, like.dtype) for x in (self.a, self.b))
        return replace(self, a=a, b=b)

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        # -|a - b|^2 / 2t = (a.b - |a|^2 / 2 - |b|^2 / 2) / t
        a, t = self.a[rows], self.temperature
        x.addmm_(a, self.b.T, alpha=1 / t)
        x -= torch.linalg.vecdot(a, a)[:, None] / (2 * t)
        x -= torch.linalg.vecdot(self.b, self.b) / (2 * t)

    def inputs(self) -> tuple[Tensor, ...]:
        return self.a, self.b

    def with_inputs(self, inputs: Sequence[Tensor]) -> Far:
        a, b = inputs
        return replace(self, a=a, b=b)

    def backward(self, g: Tensor, scale: Tensor, rows: slice, out: Sequence[Tensor | None]) -> None:
        # dF_ij / da_i = (b_j - a_i) / t and dF_ij / db_j = (a_i - b_j) / t
        a, (da, db) = self.a[rows], out
        if da is not None:
            pulled = torch.addmm(a * g.sum(1)[:, None], g, self.b, beta=-1)
            da[rows] += pulled * (scale / self.temperature)[:, None]
        scale = scale / self.temperature
        if db is not None:
            db.addmm_(g.T, a * scale[:, None])
            db -= self.b * (scale @ g)[:, None]

    def transposed(self) -> Far:
        return replace(self, a=self.b, b=self.a)

    def corner(self, start: int) -> Far:
        return replace(self, a=self.a[start:], b=self.b[start:])

    def sharded(self, shard: Shard) -> Far:
        return replace(self, b=shard.gather(self.b))


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
        _check_sizes(self.a, self.b, n, m, "except_likely_positives")
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


@dataclass(frozen=True)
class _Harder(Far):
    beta: float

    symmetric = True
    order = 0

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        return self

    def following(self, terms: tuple[Far, ...]) -> tuple[Far, ...]:
        # x is S / temperature only once: several terms become one, with the sum of their betas.
        beta = self.beta + sum(term.beta for term in terms if isinstance(term, _Harder))
        others = tuple(term for term in terms if not isinstance(term, _Harder))
        return (*others, _Harder(beta)) if beta else others

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        negative = torch.ones_like(x, dtype=torch.bool)
        targets.clear_positives(negative)
        x.addcmul_(x, negative.to(x.dtype), value=self.beta * temperature)

    def transposed(self) -> Far:
        return self

    def corner(self, start: int) -> Far:
        return self

    def sharded(self, shard: Shard) -> Far:
        return self


@dataclass(frozen=True)
class _Hardest(Far):
    alpha: float
    others: Far | None = None  # the rest of the sum: it chooses among what they leave, by x as it was before them

    mirrors = False
    order = 2

    @property
    def only_masks(self) -> bool:  # type: ignore[override]
        return self.others is None or self.others.only_masks

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        return replace(self, others=None if self.others is None else self.others.bind(n, m, like))

    def following(self, terms: tuple[Far, ...]) -> tuple[Far, ...]:
        if terms and isinstance(terms[-1], _Hardest):
            return (replace(terms[-1], alpha=min(self.alpha, terms[-1].alpha)),)
        return (replace(self, others=FarSum(terms) if terms else None),)

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        s = x.clone()
        if self.others is not None:
            self.others.add_to(x, rows, targets, temperature)
        negative = x > -torch.inf
        targets.clear_positives(negative)
        s.masked_fill_(~negative, -torch.inf)
        kept = (self.alpha * negative.sum(1)).round_().long().clamp_(min=1)
        threshold = s.topk(int(kept.max()), dim=1).values.gather(1, kept[:, None] - 1)
        x.masked_fill_(negative & (s < threshold), -torch.inf)

    def inputs(self) -> tuple[Tensor, ...]:
        return () if self.others is None else self.others.inputs()

    def with_inputs(self, inputs: Sequence[Tensor]) -> Far:
        return self if self.others is None else replace(self, others=self.others.with_inputs(inputs))

    def backward(self, g: Tensor, scale: Tensor, rows: slice, out: Sequence[Tensor | None]) -> None:
        if self.others is not None:
            self.others.backward(g, scale, rows, out)

    def transposed(self) -> Far:
        return self

    def sharded(self, shard: Shard) -> Far:
        return self


def _check_references(a: Tensor, b: Tensor, name: str) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"far.{name}(): expected vectors (n, k) and (m, k), got {tuple(a.shape)} and {tuple(b.shape)}")
    if not bool(torch.isfinite(a).all()) or not bool(torch.isfinite(b).all()):
        raise ValueError(f"far.{name}(): a vector contains NaN or infinity")


def _check_sizes(a: Tensor, b: Tensor, n: int, m: int, name: str) -> None:
    if len(a) != n or len(b) != m:
        raise ValueError(f"far.{name}() got {len(a)} and {len(b)} vectors for {n} anchors and {m} candidates")
