"""What an engine computes, and the base of all engines."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from nearfar.blocks import Far, Near

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Problem:
    """One direction of a contrast: every anchor against every candidate.

        logZ_i = logsumexp_j( a_i . c_j / temperature + F_ij )
        loss_i = sum_j P_ij ( logZ_i - a_i . p_j / temperature ),   p = positives, or the candidates

    Args:
        anchors, candidates, positives: Vectors in one dtype (float32 or float64), already normalised if S is a cosine.
        near, far: Bound to these shapes.
        temperature: A 0-d tensor of the same dtype.
        reach: Upper bound of |a . c / temperature|; infinity where none is known.
    """

    anchors: Float[Tensor, "n d"]
    candidates: Float[Tensor, "m d"]
    near: Near
    far: Far | None
    temperature: Float[Tensor, ""]
    positives: Float[Tensor, "m d"] | None = None
    reach: float = math.inf

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return len(self.anchors), len(self.candidates)

    @property
    def lean(self) -> bool:
        """Neither builder makes matrices of a block's size."""
        return self.near.lean and (self.far is None or self.far.lean)

    @property
    def symmetric(self) -> bool:
        """The anchors are the candidates, one tensor, and P and F are symmetric matrices, as their builders declare."""
        same = self.anchors is self.candidates and self.positives is None
        return same and self.near.symmetric and (self.far is None or self.far.symmetric)

    @property
    def bound_of_x(self) -> float:
        """Upper bound of |x_ij|, x = S / temperature + F, where x is not -inf; infinity where none is known."""
        return self.reach if self.far is None or self.far.only_masks else math.inf

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Everything that may require a gradient: anchors, candidates, temperature, positives, the inputs of F."""
        inputs = () if self.far is None else self.far.inputs()
        return self.anchors, self.candidates, self.temperature, self.positives, *inputs

    def with_tensors(self, tensors: Sequence[Any]) -> Problem:
        """The same problem with other tensors, in the order of `tensors`."""
        a, c, t, p, *inputs = tensors
        far = self.far if self.far is None or not inputs else self.far.with_inputs(inputs)
        return replace(self, anchors=a, candidates=c, temperature=t, positives=p, far=far)

    def bound(self) -> Problem:
        """The same problem with `near` and `far` checked against the shapes."""
        n, m = self.shape
        far = None if self.far is None else self.far.bind(n, m, self.anchors)
        return replace(self, near=self.near.bind(n, m, self.anchors), far=far)

    def transposed(self) -> Problem:
        """The opposite direction: candidates as anchors. Call before `bound`."""
        if self.positives is not None:
            raise ValueError(
                "symmetric=True cannot be used with positives=, which replace the candidates in one direction"
            )
        return replace(
            self,
            anchors=self.candidates,
            candidates=self.anchors,
            near=self.near.transposed(),
            far=None if self.far is None else self.far.transposed(),
        )


Reduction = Literal["mean", "sum"]


class Engine(ABC):
    """A way to compute problems. Engines know nothing about papers, and return values that autograd can follow."""

    def ready(self, problem: Problem) -> Problem:
        """The problem as `rows` and `total` expect it: bound to its shapes."""
        return problem.bound()

    @abstractmethod
    def rows(self, problem: Problem) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """The loss of each anchor, 0 where its row of P is zero; and the sum of each row of P."""

    def total(self, problem: Problem) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
        """The sum of the losses, and the sum of each row of P."""
        losses, weights = self.rows(problem)
        return losses.sum(), weights

    def both_ways(self, problem: Problem, reduction: Reduction) -> Float[Tensor, ""]:
        """Half the loss of this direction plus half that of the opposite one. Expects a problem that is not bound."""
        one = reduced(*self.total(self.ready(problem)), reduction)
        other = reduced(*self.total(self.ready(problem.transposed())), reduction)
        return (one + other) / 2


def reduced(
    total: Float[Tensor, ""], weights: Float[Tensor, " n"], reduction: Reduction, *, least: int = 0
) -> Float[Tensor, ""]:
    """The mean is taken over the anchors that have a positive, or over `least` if that is more; over none it is NaN."""
    return total / (weights > 0).sum().clamp(min=least) if reduction == "mean" else total
