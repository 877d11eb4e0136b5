"""The predictive-similarity operator (M psi)(x) = sum_x' mu(x') K(x, x') psi(x') of contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float


@torch.no_grad()
def operator(
    kernel: Float[Tensor, "n n"], weights: Float[Tensor, " n"] | None = None, centred: bool = True
) -> Float[Tensor, "n n"]:
    """The operator as a symmetric matrix, D^1/2 K D^1/2 with D = diag(mu), in float64.

    Args:
        kernel: K, see `nearfar.theory.kernels`.
        weights: mu; they sum to 1. None: equal weights.
        centred: Whether K is centred first, C K C^T with C = I - 1 mu^T. Otherwise the first eigenvector is nearly
            constant.

    Raises:
        InputError: The kernel is not square, or weights do not match.
    """
    kernel, mu = _checked(kernel, weights)
    if centred:
        rows = kernel @ mu
        kernel = kernel - rows[:, None] - rows[None] + mu @ rows
    root = mu.sqrt()
    return root[:, None] * kernel * root


@torch.no_grad()
def spectrum(
    kernel: Float[Tensor, "n n"], weights: Float[Tensor, " n"] | None = None, centred: bool = True
) -> Float[Tensor, " n"]:
    """The eigenvalues of `operator`, the largest first."""
    return torch.linalg.eigvalsh(operator(kernel, weights, centred)).flip(0)


@torch.no_grad()
def dirichlet_energy(
    kernel: Float[Tensor, "n n"], values: Float[Tensor, " n"], weights: Float[Tensor, " n"] | None = None
) -> float:
    """1/2 sum_xx' mu mu' K (phi_x - phi_x')^2, divided by the variance of phi: low where similar laws have similar phi.

    Args:
        kernel: K.
        values: phi, a number for each context.
        weights: mu; they sum to 1. None: equal weights.

    Raises:
        InputError: phi is constant, or sizes differ.
    """
    kernel, mu = _checked(kernel, weights)
    phi = values.double()
    variance = float((mu * phi.square()).sum() - (mu * phi).sum().square())
    if variance <= 0:
        raise InputError("all values are equal: there is no variance", field="values")
    degree = kernel @ mu
    return float((mu * degree * phi.square()).sum() - (mu * phi) @ kernel @ (mu * phi)) / variance


def _checked(kernel: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise InputError(f"expected a kernel (n, n), got shape {tuple(kernel.shape)}", field="kernel")
    n = len(kernel)
    if weights is None:
        return kernel.double(), torch.full((n,), 1 / n, dtype=torch.float64, device=kernel.device)
    if weights.shape != (n,) or not bool((weights >= 0).all()) or abs(float(weights.sum()) - 1) > 1e-3:
        problem = f"expected {n} weights of at least 0 that sum to 1"
        raise InputError(problem, field="weights", remedy="divide them by their sum")
    return kernel.double(), weights.double()
