"""Who is near whom, and how much: builders of the target weights P.

P is (n, m) and non-negative: row i says how strongly anchor i is pulled towards each candidate, and its sum is that
anchor's weight. A row of zeros takes the anchor out of the loss.

    paired()            candidate i belongs to anchor i
    same_label(a, b)    equal labels attract, spread evenly over a row
    by_similarity(a, b) continuous weights from reference vectors
    by_softmax(a, b, t) the same as a softmax over their cosines
    weights(P)          an explicit matrix

No builder holds P as a whole: an engine asks for the rows it is working on (`Near.at`) and gets a `Pull`, which for
`paired` is a handful of indices and for the others a block of weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from nearfar.engines.sharded import Shard

__all__ = ["Near", "by_similarity", "by_softmax", "paired", "power", "same_label", "weights"]

Weigh = Callable[[Tensor], Tensor]
WEIGHINGS: dict[str, Weigh] = {
    "half": lambda cosine: cosine.add_(1).div_(2),
    "relu": torch.relu_,
}


def paired() -> Near:
    """Candidate i belongs to anchor i; candidates after the first n are extra negatives.

    The target of InfoNCE, of CLIP and of in-batch negatives.
    """
    return _Paired()


def same_label(a: Int[Tensor, " n"] | Sequence[int], b: Int[Tensor, " m"] | Sequence[int] | None = None) -> Near:
    """Candidates with the anchor's label attract it, each with 1 / (number of them).

    Args:
        a: Labels of the anchors.
        b: Labels of the candidates. None: the candidates are the anchors themselves, and no anchor attracts itself
            (compose with `far.except_self()` to keep it out of the denominator too, as in SupCon).
    """
    return _SameLabel(_labels(a, "a"), None if b is None else _labels(b, "b"))


def by_similarity(
    a: Float[Tensor, "n k"], b: Float[Tensor, "m k"], weigh: Literal["half", "relu"] | Weigh = "half"
) -> Near:
    """Continuous weights: P_ij = w_ij / sum_j w_ij with w_ij = weigh(cos(a_i, b_j)).

    Args:
        a: Reference vectors of the anchors; no gradient reaches them.
        b: Reference vectors of the candidates, in the same space as `a`.
        weigh: Elementwise map from a cosine to a weight >= 0: `"half"`, (1 + cos) / 2; `"relu"`, max(cos, 0);
            `power(k)`; or any function, which may work in place.

    Source: Srinivasa et al. 2023, Cross-Modal Transfer with Continuously Weighted Contrastive Loss.
    """
    if isinstance(weigh, str) and weigh not in WEIGHINGS:
        raise ValueError(f"weigh={weigh!r} is not known; use one of {sorted(WEIGHINGS)} or a function")
    _check_references(a, b)
    return _BySimilarity(a.detach(), b.detach(), WEIGHINGS[weigh] if isinstance(weigh, str) else weigh)


def by_softmax(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"], temperature: float) -> Near:
    """A softmax over cosines of reference vectors: P_ij = exp(cos(a_i, b_j) / temperature) / sum over j.

    A low temperature leaves a row's nearest candidates alone, a high one spreads it evenly. Where both sides have the
    same references the symmetric loss has the same P in both directions.

    Args:
        a: Reference vectors of the anchors; no gradient reaches them.
        b: Reference vectors of the candidates, in the same space as `a`.
        temperature: Of the target; that of the loss is another.

    Source: Burdisso et al. 2024, Dialog2Flow: Pre-training Soft-Contrastive Action-Driven Sentence Embeddings.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"the temperature of near.by_softmax() must be > 0, got {temperature}")
    _check_references(a, b)
    return _BySoftmax(a.detach(), b.detach(), temperature)


def power(k: float) -> Weigh:
    """A map for `by_similarity`: max(cos, 0)^k. The higher k, the less the merely similar count; k = 1 is `"relu"`."""
    if not k > 0:
        raise ValueError(f"k must be > 0, got {k}")
    return lambda cosine: cosine.relu_().pow_(k)


def weights(p: Float[Tensor, "n m"]) -> Near:
    """An explicit matrix of weights, used as it is: rows are not normalised. No gradient reaches it.

    Under `group`, give this process's rows against the candidates of the whole batch.
    """
    if p.ndim != 2:
        raise ValueError(f"weights must be a matrix (n, m), got shape {tuple(p.shape)}")
    p = p.detach()
    if not bool((p >= 0).all()) or not bool(torch.isfinite(p).all()):
        raise ValueError("weights must be finite and >= 0")
    return _Weights(p)


class Pull(ABC):
    """Rows of P, in the operations that an engine needs. b rows against m candidates."""

    @abstractmethod
    def total(self) -> Float[Tensor, " b"]:
        """The sum of each row."""

    @abstractmethod
    def along(self, x: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
        """sum_j P_ij x_ij for each row."""

    @abstractmethod
    def subtract_from(self, x: Float[Tensor, "b m"], scale: Float[Tensor, " b"]) -> None:
        """x_ij -= scale_i P_ij, in place."""

    @abstractmethod
    def mix(self, y: Float[Tensor, "m d"]) -> Float[Tensor, "b d"]:
        """P y: each anchor's weighted sum of the candidates."""

    @abstractmethod
    def spread(self, y: Float[Tensor, "b d"], out: Float[Tensor, "m d"]) -> None:
        """Out -= P^T y, in place."""

    @abstractmethod
    def add_totals_to(self, out: Float[Tensor, " m"]) -> None:
        """out_j += sum_i P_ij, in place."""

    @abstractmethod
    def spare(self, mask: Bool[Tensor, "b m"]) -> None:
        """Clear a mask in place wherever P > 0."""

    @abstractmethod
    def dense(self) -> Float[Tensor, "b m"]:
        """The rows of P themselves."""


class Diagonal(Pull):
    """Row k pulls candidate `start + k` with weight 1, for the first `count` of `rows` rows."""

    def __init__(self, start: int, count: int, rows: int, candidates: int, like: Tensor) -> None:
        self.start, self.count, self.rows, self.candidates, self.like = start, count, rows, candidates, like

    def _of(self, x: Tensor) -> Tensor:
        return x.diagonal(offset=self.start)[: self.count]

    def total(self) -> Tensor:
        return (torch.arange(self.rows, device=self.like.device) < self.count).to(self.like.dtype)

    def along(self, x: Tensor) -> Tensor:
        return F.pad(self._of(x), (0, self.rows - self.count))

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        self._of(x).sub_(scale[: self.count])

    def mix(self, y: Tensor) -> Tensor:
        return F.pad(y[self.start : self.start + self.count], (0, 0, 0, self.rows - self.count))

    def spread(self, y: Tensor, out: Tensor) -> None:
        out[self.start : self.start + self.count] -= y[: self.count]

    def add_totals_to(self, out: Tensor) -> None:
        out[self.start : self.start + self.count] += 1

    def spare(self, mask: Tensor) -> None:
        self._of(mask).fill_(False)

    def dense(self) -> Tensor:
        p = self.like.new_zeros(self.rows, self.candidates)
        self._of(p).fill_(1)
        return p


class Weighted(Pull):
    """Rows of P as a block of numbers."""

    def __init__(self, p: Float[Tensor, "b m"]) -> None:
        self.p = p

    def total(self) -> Tensor:
        return self.p.sum(1)

    def along(self, x: Tensor) -> Tensor:
        return torch.linalg.vecdot(self.p, x)

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        x.addcmul_(self.p, scale[:, None], value=-1)

    def mix(self, y: Tensor) -> Tensor:
        return self.p @ y

    def spread(self, y: Tensor, out: Tensor) -> None:
        out.addmm_(self.p.T, y, alpha=-1)

    def add_totals_to(self, out: Tensor) -> None:
        out += self.p.sum(0)

    def spare(self, mask: Tensor) -> None:
        mask &= self.p == 0

    def dense(self) -> Tensor:
        return self.p


class Near(ABC):
    """What every builder here returns. To write one of your own, implement `bind`, `at` and `transposed`.

    `over_columns` lets the symmetric loss do with one pass instead of two; `sharded` is for several processes.
    Engines use the object that `bind` returns; until then a builder is only a description.
    """

    #: Its pull is index work: no matrix of a block's size is made. An engine's blocks can be larger then.
    lean: bool = False

    @abstractmethod
    def bind(self, n: int, m: int, like: Tensor) -> Near:
        """Check against n anchors and m candidates, and move to the dtype and device of `like`.

        Raises:
            ValueError: the shapes do not fit.
        """

    @abstractmethod
    def at(self, rows: slice) -> Pull:
        """The rows `rows.start` to `rows.stop` of P."""

    @abstractmethod
    def transposed(self) -> Near:
        """The target of the opposite direction: candidates as anchors, normalised over *their* rows."""

    def over_columns(self) -> Near | None:
        """`transposed`, laid out like this P: entry (i, j) is what j feels for i. None: not offered."""
        return None

    def sharded(self, shard: Shard) -> Near:
        """This process's rows, against the candidates of every process."""
        raise ValueError(f"{type(self).__name__} does not say how it is sharded over processes; implement `sharded`")


@dataclass(frozen=True)
class _Paired(Near):
    lean = True

    offset: int = 0
    pairs: int | None = None
    many: bool = False  # transposed: more rows than columns is in order
    shape: tuple[int, int] = (0, 0)
    like: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        if m < n and not self.many:
            raise ValueError(
                f"near.paired() needs a candidate for every anchor: {n} anchors, but only {m} candidates; "
                "pass at least as many candidates as anchors, the i-th belonging to anchor i"
            )
        return replace(self, pairs=min(n, m) if self.pairs is None else self.pairs, shape=(n, m), like=like)

    def at(self, rows: slice) -> Pull:
        assert self.pairs is not None
        count = max(0, min(rows.stop, self.pairs) - rows.start)
        return Diagonal(self.offset + rows.start, count, rows.stop - rows.start, self.shape[1], self.like)

    def transposed(self) -> Near:
        return replace(self, many=not self.many)

    def over_columns(self) -> Near:
        return self

    def sharded(self, shard: Shard) -> Near:
        for rank, (rows, pairs) in enumerate(zip(shard.all_rows, shard.all_pairs, strict=True)):
            if rows > pairs and not self.many:
                raise ValueError(
                    f"near.paired() needs a candidate for every anchor: process {rank} has {rows} anchors, "
                    f"but only {pairs} candidates"
                )
        return replace(self, offset=shard.offset, pairs=shard.pairs, many=True)


@dataclass(frozen=True)
class _SameLabel(Near):
    a: Tensor
    b: Tensor | None
    offset: int = 0
    self_excluded: bool | None = None
    normalise: Literal["rows", "columns"] = "rows"
    share: Tensor | None = None  # 1 / number of positives: of each row, or of each column
    like: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        b = self.a if self.b is None else self.b
        if len(self.a) != n or len(b) != m:
            raise ValueError(
                f"near.same_label() got {len(self.a)} anchor labels and {len(b)} candidate labels "
                f"for {n} anchors and {m} candidates"
            )
        excluded = self.b is None if self.self_excluded is None else self.self_excluded
        # Small consecutive ids make both the comparison and the counting cheap.
        _, ids = torch.unique(torch.cat([self.a.to(like.device), b.to(like.device)]), return_inverse=True)
        a, b = ids[:n].int(), ids[n:].int()
        bound = replace(self, a=a, b=b, self_excluded=excluded, like=like)
        return replace(bound, share=bound._share(int(ids.max()) + 1))

    def _share(self, labels: int) -> Tensor:
        assert self.b is not None
        mine, others = (self.a, self.b) if self.normalise == "rows" else (self.b, self.a)
        found = torch.bincount(others, minlength=labels)[mine.long()]
        if self.self_excluded:
            found = found - 1
        found = found.to(self.like.dtype)  # the reciprocal of whole numbers would be one of float32
        return torch.where(found > 0, 1 / found.clamp(min=1), 0)

    def at(self, rows: slice) -> Pull:
        assert self.b is not None
        assert self.share is not None
        equal = self.a[rows, None] == self.b
        if self.self_excluded:
            equal.diagonal(offset=self.offset + rows.start).fill_(False)
        return Weighted(torch.where(equal, self.share[rows, None] if self.normalise == "rows" else self.share, 0))

    def transposed(self) -> Near:
        return self if self.b is None else replace(self, a=self.b, b=self.a)

    def over_columns(self) -> Near:
        assert self.b is not None
        turned = replace(self, normalise="columns")
        return replace(turned, share=turned._share(int(torch.cat([self.a, self.b]).max()) + 1))

    def sharded(self, shard: Shard) -> Near:
        b = self.a if self.b is None else self.b
        return replace(self, b=shard.gather(b), offset=shard.offset, self_excluded=self.b is None)


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

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, len(self.a), 256):
            yield slice(start, min(start + 256, len(self.a)))

    def transposed(self) -> Near:
        return replace(self, a=self.b, b=self.a)

    def sharded(self, shard: Shard) -> Near:
        return replace(self, b=shard.gather(self.b))


@dataclass(frozen=True)
class _BySimilarity(_ByReference):
    weigh: Weigh
    share: Tensor | None = None  # of the columns; None: rows are normalised

    def _raw(self, rows: slice) -> Tensor:
        w = self.weigh(self.a[rows] @ self.b.T)
        # One of -1e-8 is a rounded zero; anything further, or NaN, is a function that is no weight.
        if not float(w.amin()) >= -1e-6:
            raise ValueError("near.by_similarity(): weigh() returned a negative or NaN weight; weights must be >= 0")
        return w.clamp_(min=0)

    def at(self, rows: slice) -> Pull:
        w = self._raw(rows)
        return Weighted(w.mul_(_inverse(w.sum(1, keepdim=True)) if self.share is None else self.share))

    def over_columns(self) -> Near:
        totals = self.a.new_zeros(len(self.b))
        for rows in self._blocks():
            totals += self._raw(rows).sum(0)
        return replace(self, share=_inverse(totals))


@dataclass(frozen=True)
class _BySoftmax(_ByReference):
    temperature: float
    logz: Tensor | None = None  # of the columns; None: rows are normalised

    def _scores(self, rows: slice) -> Tensor:
        return (self.a[rows] @ self.b.T).div_(self.temperature)

    def at(self, rows: slice) -> Pull:
        x = self._scores(rows)
        return Weighted(x.softmax(1) if self.logz is None else x.sub_(self.logz).exp_())

    def over_columns(self) -> Near:
        logz = self.a.new_full((len(self.b),), -torch.inf)
        for rows in self._blocks():
            torch.logaddexp(logz, self._scores(rows).logsumexp(0), out=logz)
        return replace(self, logz=logz)


@dataclass(frozen=True)
class _Weights(Near):
    p: Tensor

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        if self.p.shape != (n, m):
            raise ValueError(f"near.weights() has shape {tuple(self.p.shape)}, but P must be {(n, m)}")
        return replace(self, p=self.p.to(like.device, like.dtype))

    def at(self, rows: slice) -> Pull:
        return Weighted(self.p[rows])

    def transposed(self) -> Near:
        return replace(self, p=self.p.T)

    def over_columns(self) -> Near:
        return self

    def sharded(self, shard: Shard) -> Near:
        return self


def _check_references(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"reference vectors must be (n, k) and (m, k), got {tuple(a.shape)} and {tuple(b.shape)}")


def _inverse(x: Tensor) -> Tensor:
    return torch.where(x > 0, 1 / x, 0)


def _labels(labels: Tensor | Sequence[int], name: str) -> Tensor:
    labels = torch.as_tensor(labels)
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"{name}: labels must be a vector of integers, got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    return labels
