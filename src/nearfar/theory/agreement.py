"""Whether states are spread in the directions in which the laws of their contexts differ.

The paper (Zhang 2025, arXiv 2507.19247) says that states align with the leading eigenspaces of the
predictive-similarity operator, and defines no score. These three make the statement a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.theory.operators import operator

if TYPE_CHECKING:
    from jaxtyping import Float

#: Eigenvalues below this share of the largest are rounding errors.
_ROUNDING = 1e-12


class Agreement(NamedTuple):
    """How well states agree with a kernel; all from 0 to 1.

    Args:
        alignment: A_r = |Q^T U|_F^2 / r: the overlap of the first r principal directions of the states, over contexts,
            with the first r eigenvectors of the operator. Random directions have r / (n - 1).
        captured: R_r = tr(Q^T K Q) / (sum of the first r eigenvalues): the share of the kernel's energy in them.
        cka: Linear CKA of the states with the kernel (Kornblith et al. 2019), which weighs the whole spectrum.
    """

    alignment: float
    captured: float
    cka: float


class Reference:
    """A kernel that states are compared with.

    A kernel that is made of the model's own law, compared with the state that the law is computed from, agrees by
    construction: take the true law, the law of a teacher, or an inner layer.

    Args:
        kernel: K, see `nearfar.theory.kernels`.
        r: Number of directions, much less than the number of contexts and the width, and at a gap of the spectrum:
            inside of equal eigenvalues the eigenvectors are arbitrary. See `gap_near`.
        weights: mu; they sum to 1. None: equal weights.

    Raises:
        InputError: r is not in [1, n - 1].
    """

    def __init__(self, kernel: Float[Tensor, "n n"], r: int, weights: Float[Tensor, " n"] | None = None) -> None:
        n = len(kernel)
        if not 1 <= r < n:
            problem = f"invalid value {r}: must be from 1 to {n - 1}, one less than the number of contexts"
            raise InputError(problem, field="r", remedy="use more contexts or a smaller r")
        self.r, self.operator = r, operator(kernel, weights)
        values, vectors = torch.linalg.eigh(self.operator)
        self.values, self.leading = values.flip(0), vectors[:, -r:].flip(1)
        self.weights = torch.full((n,), 1 / n).to(self.operator) if weights is None else weights.to(self.operator)

    def agreement(self, states: Float[Tensor, "n d"]) -> Agreement:
        """The three scores of states, one for each context.

        Rotating the states changes nothing, and neither does scaling them.
        """
        return self._scores(*self._prepared(states))

    def null(self, states: Float[Tensor, "n d"], permutations: int = 20, seed: int = 0) -> list[Agreement]:
        """The scores of the same states given to contexts at random: what no relation would look like."""
        generator = torch.Generator().manual_seed(seed)
        orders = [torch.randperm(len(states), generator=generator) for _ in range(permutations)]
        if not bool((self.weights == self.weights[0]).all()):
            return [self.agreement(states[order.to(states.device)]) for order in orders]
        # With equal weights, what is computed from permuted states is the same, permuted.
        basis, gram = self._prepared(states)
        orders = [order.to(basis.device) for order in orders]
        return [self._scores(basis[order], gram[order][:, order]) for order in orders]

    def _prepared(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """The first r principal directions over contexts, and the Gram matrix of the centred states."""
        if len(states) != len(self.operator):
            raise InputError(f"expected {len(self.operator)} states, got {len(states)}", field="states")
        x = states.double().to(self.operator.device)
        x = (x - self.weights @ x) * self.weights.sqrt()[:, None]
        gram = x @ x.T
        if len(x) <= x.shape[1]:
            return torch.linalg.eigh(gram).eigenvectors[:, -self.r :], gram
        values, vectors = torch.linalg.eigh(x.T @ x)
        values, vectors = values[-self.r :], vectors[:, -self.r :]
        kept = values > _ROUNDING * values[-1:].clamp(min=torch.finfo(values.dtype).tiny)
        return x @ vectors[:, kept] / values[kept].sqrt(), gram

    def _scores(self, basis: Tensor, gram: Tensor) -> Agreement:
        overlap = float((basis.T @ self.leading).square().sum()) / self.r
        energy = float((basis * (self.operator @ basis)).sum() / self.values[: self.r].sum())
        cka = float((gram * self.operator).sum() / (gram.norm() * self.operator.norm()).clamp(min=1e-300))
        return Agreement(overlap, energy, cka)


def gap_near(values: Float[Tensor, " n"], r: int) -> int:
    """The number of eigenvalues, from r/2 to 3r/2, after which they fall by the largest factor.

    Args:
        values: Eigenvalues, the largest first.
        r: About how many.
    """
    low, high = max(1, r // 2), min(len(values) - 1, r + r // 2)
    kept = values.clamp(min=float(values[0]) * _ROUNDING)
    ratios = kept[low - 1 : high] / kept[low : high + 1]
    return low + int(ratios.argmax())
