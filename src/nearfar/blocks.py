"""What the vocabularies (`near`, `far`) and the engines share: blocks of rows of P, and the bases of their builders.

An engine asks a `Near` for the rows of P that it is working on and gets `Targets`: a few indices where P is a diagonal,
a matrix elsewhere. It asks a `Far` to add F to a block of x = S / temperature in place. `Shard` describes the part of a
global batch that one process has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch.distributed import ProcessGroup

T = TypeVar("T")


class Targets(ABC):
    """A block of rows of P (b, m), as the operations that engines and builders of F need."""

    @abstractmethod
    def row_sums(self) -> Float[Tensor, " b"]:
        """sum_j P_ij."""

    @abstractmethod
    def column_sums(self) -> Float[Tensor, " m"]:
        """sum_i P_ij."""

    @abstractmethod
    def weighted_row_sums(self, x: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
        """sum_j P_ij x_ij."""

    @abstractmethod
    def subtract_from(self, x: Float[Tensor, "b m"], scale: Float[Tensor, " b"]) -> None:
        """x_ij -= scale_i P_ij, in place."""

    @abstractmethod
    def matmul(self, y: Float[Tensor, "m d"]) -> Float[Tensor, "b d"]:
        """P y: the weighted sum of the candidates of each anchor."""

    @abstractmethod
    def scatter_add(self, y: Float[Tensor, "b d"], out: Float[Tensor, "m d"]) -> None:
        """Out += P^T y, in place."""

    @abstractmethod
    def clear_positives(self, mask: Bool[Tensor, "b m"]) -> None:
        """Set a mask to False, in place, wherever candidate j is a positive of anchor i."""

    @abstractmethod
    def to_dense(self) -> Float[Tensor, "b m"]:
        """P itself."""

    def positive_means(self, x: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
        """The mean of x_ij over the positives of each anchor, weighted by P; infinity where it has none."""
        total = self.row_sums()
        return torch.where(total > 0, self.weighted_row_sums(x) / total, torch.inf)


class DiagonalTargets(Targets):
    """P_ij = 1 for j = i + `start` in the first `count` of `rows` rows, else 0: index work, no matrix."""

    def __init__(self, start: int, count: int, rows: int, candidates: int, like: Tensor) -> None:
        self.start, self.count, self.rows, self.candidates, self.like = start, count, rows, candidates, like

    def _diagonal(self, x: Tensor) -> Tensor:
        return x.diagonal(offset=self.start)[: self.count]

    def row_sums(self) -> Tensor:
        """See `Targets`."""
        return (torch.arange(self.rows, device=self.like.device) < self.count).to(self.like.dtype)

    def column_sums(self) -> Tensor:
        """See `Targets`."""
        sums = self.like.new_zeros(self.candidates)
        sums[self.start : self.start + self.count] = 1
        return sums

    def weighted_row_sums(self, x: Tensor) -> Tensor:
        """See `Targets`."""
        return F.pad(self._diagonal(x), (0, self.rows - self.count))

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        """See `Targets`."""
        self._diagonal(x).sub_(scale[: self.count])

    def matmul(self, y: Tensor) -> Tensor:
        """See `Targets`."""
        return F.pad(y[self.start : self.start + self.count], (0, 0, 0, self.rows - self.count))

    def scatter_add(self, y: Tensor, out: Tensor) -> None:
        """See `Targets`."""
        out[self.start : self.start + self.count] += y[: self.count]

    def clear_positives(self, mask: Tensor) -> None:
        """See `Targets`."""
        self._diagonal(mask).fill_(False)

    def to_dense(self) -> Tensor:
        """See `Targets`."""
        p = self.like.new_zeros(self.rows, self.candidates)
        self._diagonal(p).fill_(1)
        return p


class DenseTargets(Targets):
    """P as a matrix (b, m)."""

    def __init__(self, p: Float[Tensor, "b m"]) -> None:
        self.p = p

    def row_sums(self) -> Tensor:
        """See `Targets`."""
        return self.p.sum(1)

    def column_sums(self) -> Tensor:
        """See `Targets`."""
        return self.p.sum(0)

    def weighted_row_sums(self, x: Tensor) -> Tensor:
        """See `Targets`."""
        return torch.linalg.vecdot(self.p, x)

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        """See `Targets`."""
        x.addcmul_(self.p, scale[:, None], value=-1)

    def matmul(self, y: Tensor) -> Tensor:
        """See `Targets`."""
        return self.p @ y

    def scatter_add(self, y: Tensor, out: Tensor) -> None:
        """See `Targets`."""
        out.addmm_(self.p.T, y)

    def clear_positives(self, mask: Tensor) -> None:
        """See `Targets`."""
        mask &= self.p == 0

    def to_dense(self) -> Tensor:
        """See `Targets`."""
        return self.p


class Near(ABC):
    """Base of the builders of P. A builder of your own implements `bind`, `at` and `transposed`.

    A builder is a description until `bind` has checked it against the sizes of a batch; engines use its result.
    `over_columns` saves the symmetric loss a second pass, `corner` is for symmetric P, `sharded` for several processes.
    """

    #: `at` makes no matrix of a block's size, so the blocks of an engine can be larger.
    lean: bool = False
    #: P_ij = P_ji where the anchors are the candidates. Requires `corner`.
    symmetric: bool = False

    @abstractmethod
    def bind(self, n: int, m: int, like: Tensor) -> Near:
        """Check against n anchors and m candidates, and move to the dtype and device of `like`.

        Raises:
            ValueError: the shapes do not fit.
        """

    @abstractmethod
    def at(self, rows: slice) -> Targets:
        """The rows `rows.start` to `rows.stop` of P."""

    @abstractmethod
    def transposed(self) -> Near:
        """P of the opposite direction: the candidates are the anchors, and P is normalised over their rows."""

    def over_columns(self) -> Near | None:
        """`transposed` in the layout of this P: entry (i, j) is the weight of i for anchor j. None: not available."""
        return None

    def corner(self, rows: slice) -> Targets:
        """The same rows against the candidates from `rows.start` on: their part of the upper triangle of P."""
        raise NotImplementedError(f"{type(self).__name__} must implement `corner` to be symmetric")

    def sharded(self, shard: Shard) -> Near:
        """The rows of this process, against the candidates of all processes."""
        raise ValueError(f"{type(self).__name__} must implement `sharded` to be used with several processes")


class Far(ABC):
    """Base of the builders of F. A builder of your own implements `bind`, `add_to` and `transposed`.

    Builders add up with `+`. No gradient flows through F unless the builder implements `inputs`, `with_inputs` and
    `backward`.
    """

    #: F_ij of the opposite direction is the same number, so one pass can serve both directions.
    mirrors: bool = True
    #: Every F_ij is 0 or -inf.
    only_masks: bool = False
    #: `add_to` makes no matrix of a block's size, so the blocks of an engine can be larger.
    lean: bool = False
    #: F_ij = F_ji where the anchors are the candidates and P is symmetric. Requires `corner`.
    symmetric: bool = False
    #: Terms of a sum are added in this order. 0: it reads x, which must still be S / temperature.
    order: int = 1

    @abstractmethod
    def bind(self, n: int, m: int, like: Tensor) -> Far:
        """Check against n anchors and m candidates, and move to the dtype and device of `like`."""

    @abstractmethod
    def add_to(self, x: Float[Tensor, "b m"], rows: slice, targets: Targets, temperature: float) -> None:
        """x_ij += F_ij in place, for a block of rows of x = S / temperature."""

    @abstractmethod
    def transposed(self) -> Far:
        """F of the opposite direction."""

    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that gradients reach through F."""
        return ()

    def with_inputs(self, inputs: Sequence[Tensor]) -> Far:
        """The same F as a function of other tensors, in the order of `inputs`."""
        return self

    def backward(
        self, g: Float[Tensor, "b m"], scale: Float[Tensor, " b"], rows: slice, out: Sequence[Tensor | None]
    ) -> None:
        """out[k] += sum_ij scale_i g_ij dF_ij / dinputs[k] over a block of rows, in place; None where not wanted."""
        raise NotImplementedError(f"{type(self).__name__} has inputs and must implement `backward`")

    def corner(self, start: int) -> Far:
        """F without its first `start` anchors and candidates."""
        raise NotImplementedError(f"{type(self).__name__} must implement `corner` to be symmetric")

    def sharded(self, shard: Shard) -> Far:
        """The rows of this process, against the candidates of all processes."""
        raise ValueError(f"{type(self).__name__} must implement `sharded` to be used with several processes")

    def following(self, terms: tuple[Far, ...]) -> tuple[Far, ...]:
        """The terms of a sum when this one joins those of the same or a lower `order`."""
        return (*terms, self)

    def __add__(self, other: Far) -> Far:
        if not isinstance(other, Far):
            return NotImplemented
        mine, others = (x.terms if isinstance(x, FarSum) else (x,) for x in (self, other))
        return FarSum((*mine, *others))


@dataclass(frozen=True)
class FarSum(Far):
    """The sum of several builders of F, in any order."""

    terms: tuple[Far, ...]

    @property
    def mirrors(self) -> bool:  # type: ignore[override]
        """See `Far`."""
        return all(term.mirrors for term in self.terms)

    @property
    def only_masks(self) -> bool:  # type: ignore[override]
        """See `Far`."""
        return all(term.only_masks for term in self.terms)

    @property
    def lean(self) -> bool:  # type: ignore[override]
        """See `Far`."""
        return all(term.lean for term in self.terms)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """See `Far`."""
        return all(term.symmetric for term in self.terms)

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        """See `Far`."""
        terms: tuple[Far, ...] = ()
        for term in sorted(self.terms, key=lambda term: term.order):
            terms = term.following(terms)
        return FarSum(tuple(term.bind(n, m, like) for term in terms))  # a bound sum is in order

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        """See `Far`."""
        for term in self.terms:
            term.add_to(x, rows, targets, temperature)

    def transposed(self) -> Far:
        """See `Far`."""
        return FarSum(tuple(term.transposed() for term in self.terms))

    def inputs(self) -> tuple[Tensor, ...]:
        """See `Far`."""
        return tuple(x for term in self.terms for x in term.inputs())

    def with_inputs(self, inputs: Sequence[Tensor]) -> Far:
        """See `Far`."""
        return FarSum(tuple(term.with_inputs(own) for term, own in self._each(inputs)))

    def backward(self, g: Tensor, scale: Tensor, rows: slice, out: Sequence[Tensor | None]) -> None:
        """See `Far`."""
        for term, own in self._each(out):
            if own:
                term.backward(g, scale, rows, own)

    def _each(self, values: Sequence[T]) -> Iterator[tuple[Far, Sequence[T]]]:
        start = 0
        for term in self.terms:
            stop = start + len(term.inputs())
            yield term, values[start:stop]
            start = stop

    def corner(self, start: int) -> Far:
        """See `Far`."""
        return FarSum(tuple(term.corner(start) for term in self.terms))

    def sharded(self, shard: Shard) -> Far:
        """See `Far`."""
        return FarSum(tuple(term.sharded(shard) for term in self.terms))


@dataclass(frozen=True)
class Shard:
    """The part of a global batch that one process has.

    The global batch is in the order in which one process would have it: the anchors of all processes, rank by rank; the
    candidates that belong to them, in the same order; then the extra candidates of all. Shards may differ in size.
    """

    group: ProcessGroup
    device: torch.device
    rows: int
    pairs: int
    offset: int
    all_rows: tuple[int, ...]
    all_pairs: tuple[int, ...]
    all_candidates: tuple[int, ...]

    @classmethod
    def of(cls, anchors: int, candidates: int, device: torch.device, group: ProcessGroup) -> Shard:
        """Exchange the sizes of all shards."""
        pairs = min(anchors, candidates)
        mine = torch.tensor([anchors, pairs, candidates], device=device)
        everyone = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
        dist.all_gather(everyone, mine, group=group)
        all_rows, all_pairs, all_candidates = (tuple(int(sizes[k]) for sizes in everyone) for k in range(3))
        offset = sum(all_pairs[: dist.get_rank(group)])
        return cls(group, mine.device, anchors, pairs, offset, all_rows, all_pairs, all_candidates)

    @property
    def candidates(self) -> int:
        """The number of candidates of this process."""
        return self.all_candidates[dist.get_rank(self.group)]

    def gather(self, x: Tensor) -> Tensor:
        """One row for each candidate of this process, from all processes in global order. Gradients flow back."""
        if len(x) != self.candidates:
            raise ValueError(f"expected {self.candidates} rows, one for each candidate of this process, got {len(x)}")
        return _Gather.apply(x.to(self.device), self)  # type: ignore[return-value]

    def order(self) -> list[tuple[int, slice]]:
        """The pieces that the global order consists of: (rank, rows)."""
        sizes = list(zip(self.all_pairs, self.all_candidates, strict=True))
        first = [(rank, slice(0, pairs)) for rank, (pairs, _) in enumerate(sizes)]
        extra = [(rank, slice(pairs, candidates)) for rank, (pairs, candidates) in enumerate(sizes)]
        return first + extra


class _Gather(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shard: Shard) -> Tensor:
        ctx.shard = shard
        longest = max(shard.all_candidates)
        padded = F.pad(x, [0, 0] * (x.ndim - 1) + [0, longest - len(x)]).contiguous()
        pieces = [torch.empty_like(padded) for _ in shard.all_candidates]
        dist.all_gather(pieces, padded, group=shard.group)
        return torch.cat([pieces[rank][rows] for rank, rows in shard.order()])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor):  # type: ignore[override]
        shard: Shard = ctx.shard
        gradient = sum_over(gradient, shard.group)
        rank, start, mine = dist.get_rank(shard.group), 0, []
        for owner, rows in shard.order():
            size = rows.stop - rows.start
            if owner == rank:
                mine.append(gradient[start : start + size])
            start += size
        return torch.cat(mine), None


def sum_over(x: Tensor, group: ProcessGroup) -> Tensor:
    """The sum of x over all processes, as a new tensor without gradient."""
    x = x.contiguous().clone()
    dist.all_reduce(x, group=group)
    return x
