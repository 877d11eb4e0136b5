"""Who is near whom, and how much: builders of the target weights P.

P is (n, m) and non-negative: P_ij is the weight with which anchor i is pulled towards candidate j, and the sum of row i
is the weight of anchor i. An anchor whose row is all zero takes no part in the loss.

    paired()                candidate i belongs to anchor i
    same_label(a, b)        equal labels attract, spread evenly over a row
    by_similarity(a, b)     continuous weights from reference vectors
    by_softmax(a, b, t)     a softmax over the cosines of reference vectors
    by_overlap(a, b)        continuous weights from sets, such as the parts of annotation trees
    weights(P)              an explicit matrix
    smoothed(near, epsilon) any of these with label smoothing

No builder stores P as a whole: an engine asks for a block of rows (`Near.at`) and gets `nearfar.blocks.Targets`, which
are a few indices for `paired` and a matrix for the others.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.blocks import DenseTargets, DiagonalTargets, Near, Shard, Targets

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["Near", "by_overlap", "by_similarity", "by_softmax", "paired", "power", "same_label", "smoothed", "weights"]

Weigh = Callable[[Tensor], Tensor]
WEIGHINGS: dict[str, Weigh] = {
    "half": lambda cosine: cosine.add_(1).div_(2),
    "relu": torch.relu_,
}


def paired() -> Near:
    """Candidate i belongs to anchor i; candidates after the first n are extra negatives.

    The targets of InfoNCE, CLIP and in-batch negatives.
    """
    return _Paired()


def same_label(a: Int[Tensor, " n"] | Sequence[int], b: Int[Tensor, " m"] | Sequence[int] | None = None) -> Near:
    """Candidates with the anchor's label attract it, each with 1 / (number of them).

    Args:
        a: Labels of the anchors.
        b: Labels of the candidates. None: the first n candidates are the anchors themselves, and no anchor attracts
            itself (add `far.except_self()` to remove it from the denominator too, as in SupCon); candidates after the
            first n have no label and are extra negatives.
    """
    return _SameLabel(_labels(a, "a"), None if b is None else _labels(b, "b"), one_side=b is None or b is a)


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
    if isinstance(weigh, str) and weigh not in WEIGHINGS:
        raise ValueError(f"invalid weigh: must be one of {sorted(WEIGHINGS)} or a function, got {weigh!r}")
    _check_references(a, b)
    return _BySimilarity(a.detach(), b.detach(), WEIGHINGS[weigh] if isinstance(weigh, str) else weigh)


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
    _check_references(a, b)
    return _BySoftmax(a.detach(), b.detach(), temperature)


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


def power(k: float) -> Weigh:
    """A function for `by_similarity`: max(cos, 0)^k. A higher k gives similar candidates less weight; 1 is `"relu"`."""
    if not k > 0:
        raise ValueError(f"invalid k: must be > 0, got {k}")
    return lambda cosine: cosine.relu_().pow_(k)


def weights(p: Float[Tensor, "n m"]) -> Near:
    """An explicit matrix of weights, used unchanged: rows are not normalised. No gradient reaches it.

    With `group`, pass the rows of this process against the candidates of the whole batch.
    """
    if p.ndim != 2:
        raise ValueError(f"invalid weights: must be a matrix (n, m), got shape {tuple(p.shape)}")
    p = p.detach()
    if not bool((p >= 0).all()) or not bool(torch.isfinite(p).all()):
        raise ValueError("invalid weights: must be finite and >= 0")
    return _Weights(p)


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
class _Paired(Near):
    lean = True
    symmetric = True

    offset: int = 0
    pairs: int | None = None
    turned: bool = False  # transposed: rows after the pairs are extra candidates
    shape: tuple[int, int] = (0, 0)
    like: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        if m < n and not self.turned:
            raise ValueError(
                f"near.paired() requires a candidate for every anchor: got {n} anchors and {m} candidates; "
                "pass at least as many candidates as anchors, the i-th belonging to anchor i"
            )
        return replace(self, pairs=min(n, m) if self.pairs is None else self.pairs, shape=(n, m), like=like)

    def at(self, rows: slice) -> Targets:
        return self._block(rows, 0)

    def corner(self, rows: slice) -> Targets:
        return self._block(rows, rows.start)

    def _block(self, rows: slice, first: int) -> Targets:
        assert self.pairs is not None
        count = max(0, min(rows.stop, self.pairs) - rows.start)
        start = self.offset + rows.start - first
        return DiagonalTargets(start, count, rows.stop - rows.start, self.shape[1] - first, self.like)

    def transposed(self) -> Near:
        return replace(self, turned=not self.turned)

    def over_columns(self) -> Near:
        return self

    def sharded(self, shard: Shard) -> Near:
        for rank, (rows, pairs) in enumerate(zip(shard.all_rows, shard.all_pairs, strict=True)):
            if rows > pairs and not self.turned:
                raise ValueError(
                    f"near.paired() requires a candidate for every anchor: process {rank} has {rows} anchors "
                    f"and {pairs} candidates"
                )
        return replace(self, offset=shard.offset, pairs=shard.pairs, turned=True)


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


class SparseTargets(Targets):
    """P as its entries that are not zero: P[rows[k], columns[k]] = values[k], each entry listed once."""

    def __init__(
        self,
        rows: Int[Tensor, " entries"],
        columns: Int[Tensor, " entries"],
        values: Float[Tensor, " entries"],
        size: tuple[int, int],
    ) -> None:
        self.rows, self.columns, self.values, self.size = rows, columns, values, size

    def row_sums(self) -> Tensor:
        """See `Targets`."""
        return self.values.new_zeros(self.size[0]).index_add_(0, self.rows, self.values)

    def column_sums(self) -> Tensor:
        """See `Targets`."""
        return self.values.new_zeros(self.size[1]).index_add_(0, self.columns, self.values)

    def weighted_row_sums(self, x: Tensor) -> Tensor:
        """See `Targets`."""
        found = x[self.rows, self.columns] * self.values
        return self.values.new_zeros(self.size[0]).index_add_(0, self.rows, found)

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        """See `Targets`."""
        x[self.rows, self.columns] -= scale[self.rows] * self.values

    def matmul(self, y: Tensor) -> Tensor:
        """See `Targets`."""
        return self._matrix() @ y

    def scatter_add(self, y: Tensor, out: Tensor) -> None:
        """See `Targets`."""
        out += self._matrix().T @ y

    def clear_positives(self, mask: Tensor) -> None:
        """See `Targets`."""
        mask[self.rows, self.columns] = False

    def to_dense(self) -> Tensor:
        """See `Targets`."""
        return self._matrix().to_dense()

    def _matrix(self) -> Tensor:
        return torch.sparse_coo_tensor(
            torch.stack([self.rows, self.columns]), self.values, self.size, check_invariants=False
        )


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
        for rows in _blocks(self.n):
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


class _Normalised(Near):
    """P_ij = w_ij / sum_j w_ij; or, with the share of each column, w_ij / sum_i w_ij."""

    share: Tensor | None  # of the columns; None: rows are normalised

    @abstractmethod
    def _raw(self, rows: slice) -> Tensor:
        """The rows of w, as a new matrix."""

    def at(self, rows: slice) -> Targets:
        w = self._raw(rows)
        return DenseTargets(w.mul_(_inverse(w.sum(1, keepdim=True)) if self.share is None else self.share))

    def _column_share(self, n: int, totals: Tensor) -> Tensor:
        for rows in _blocks(n):
            totals += self._raw(rows).sum(0)
        return _inverse(totals)


@dataclass(frozen=True)
class _BySimilarity(_Normalised, _ByReference):
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
        for rows in _blocks(len(self.a)):
            torch.logaddexp(logz, self._scores(rows).logsumexp(0), out=logz)
        return replace(self, logz=logz)


@dataclass(frozen=True)
class _ByOverlap(_Normalised):
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


@dataclass(frozen=True)
class _Weights(Near):
    p: Tensor

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        if self.p.shape != (n, m):
            raise ValueError(f"near.weights(): expected shape {(n, m)}, got {tuple(self.p.shape)}")
        return replace(self, p=self.p.to(like.device, like.dtype))

    def at(self, rows: slice) -> Targets:
        return DenseTargets(self.p[rows])

    def transposed(self) -> Near:
        return replace(self, p=self.p.T)

    def over_columns(self) -> Near:
        return self

    def sharded(self, shard: Shard) -> Near:
        return self


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + 256, n)) for start in range(0, n, 256))


def _check_references(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"expected reference vectors (n, k) and (m, k), got {tuple(a.shape)} and {tuple(b.shape)}")


def _inverse(x: Tensor) -> Tensor:
    return torch.where(x > 0, 1 / x, 0)


def _labels(labels: Tensor | Sequence[int], name: str) -> Tensor:
    labels = torch.as_tensor(labels)
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"invalid labels {name}: must be a vector of integers, got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    return labels
