"""What an engine is asked to compute, with everything about papers already resolved."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from nearfar.far import Far
from nearfar.near import Near

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
        reach: No |a . c / temperature| is larger; infinity where that is not known.
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

    def bound(self) -> Problem:
        """The same with `near` and `far` checked against the shapes."""
        n, m = self.shape
        far = None if self.far is None else self.far.bind(n, m, self.anchors)
        return replace(self, near=self.near.bind(n, m, self.anchors), far=far)

    def transposed(self) -> Problem:
        """The opposite direction: candidates as anchors. Call before `bound`."""
        if self.positives is not None:
            raise ValueError("symmetric=True has no meaning with positives=: they replace the candidates one way only")
        return replace(
            self,
            anchors=self.candidates,
            candidates=self.anchors,
            near=self.near.transposed(),
            far=None if self.far is None else self.far.transposed(),
        )


Reduction = Literal["mean", "sum"]


class Engine(ABC):
    """A way to compute problems. An engine knows nothing of papers; it gives values that autograd can follow."""

    def ready(self, problem: Problem) -> Problem:
        """The problem as `rows` and `total` take it: bound to its shapes."""
        return problem.bound()

    @abstractmethod
    def rows(self, problem: Problem) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """The loss of each anchor, 0 where its row of P is zero; and the sum of each row of P."""

    def total(self, problem: Problem) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
        """The sum of the losses, and the sum of each row of P."""
        losses, weights = self.rows(problem)
        return losses.sum(), weights

    def both_ways(self, problem: Problem, reduction: Reduction) -> Float[Tensor, ""]:
        """Half the loss of this direction plus half that of the opposite one. Takes a problem that is not bound."""
        one = reduced(*self.total(self.ready(problem)), reduction)
        other = reduced(*self.total(self.ready(problem.transposed())), reduction)
        return (one + other) / 2


def reduced(total: Float[Tensor, ""], weights: Float[Tensor, " n"], reduction: Reduction) -> Float[Tensor, ""]:
    """The mean is taken over the anchors that have a positive; with none, it is NaN."""
    return total / (weights > 0).sum() if reduction == "mean" else total
