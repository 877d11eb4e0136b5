"""The bases of the builders of P and F."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor

from nearfar.blocks.shard import Shard
from nearfar.blocks.targets import Targets

if TYPE_CHECKING:
    from jaxtyping import Float

T = TypeVar("T")


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
