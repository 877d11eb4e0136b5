"""Markov processes whose law is known, to check what is measured on models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["copy_entropy", "delayed_copies", "hierarchical_chain", "weakened"]


def hierarchical_chain() -> Float[Tensor, "8 8"]:
    """Transition matrix of 8 tokens in a tree: T = sum_i lam_i u_i u_i^T in the Haar basis.

    lam = (1, .6, .3, .3, .1, .1, .1, .1); the stationary law is uniform. Its centred operators have three leading
    eigenvectors, with a gap behind the first and behind the third.
    """
    s = math.sqrt
    basis = torch.zeros(8, 8, dtype=torch.float64)
    basis[0] = 1 / s(8)
    basis[1, :4], basis[1, 4:] = 1 / s(8), -1 / s(8)
    for half in range(2):
        basis[2 + half, 4 * half : 4 * half + 2], basis[2 + half, 4 * half + 2 : 4 * half + 4] = 0.5, -0.5
    for pair in range(4):
        basis[4 + pair, 2 * pair], basis[4 + pair, 2 * pair + 1] = 1 / s(2), -1 / s(2)
    lam = torch.tensor([1, 0.6, 0.3, 0.3, 0.1, 0.1, 0.1, 0.1], dtype=torch.float64)
    return basis.T @ (lam[:, None] * basis)


def weakened(transitions: Float[Tensor, "n v"], dependence: float) -> Float[Tensor, "n v"]:
    """(1 - e) 1 pi^T + e T, where pi is the mean of the rows of T: the same structure with less dependence."""
    return (1 - dependence) * transitions.mean(0) + dependence * transitions


def delayed_copies(
    sequences: int, length: int, *, delay: int, tokens: int = 4, noise: float = 0.2, seed: int = 0
) -> Int[Tensor, "sequences length"]:
    """W_t = W_{t - delay} with probability 1 - noise, otherwise uniform; the first tokens are uniform.

    The entropy rate is `copy_entropy`, and a state that determines the past knows ln(tokens) minus it about each of the
    next delay - 1 tokens after the current one.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(tokens, (sequences, length), generator=generator)
    copied = torch.rand(sequences, length, generator=generator) >= noise
    for t in range(delay, length):
        drawn[:, t] = torch.where(copied[:, t], drawn[:, t - delay], drawn[:, t])
    return drawn


def copy_entropy(tokens: int = 4, noise: float = 0.2) -> float:
    """Entropy of a noisy copy, in nats: 0.587501 by default."""
    other = noise / tokens
    same = 1 - noise + other
    return -same * math.log(same) - (tokens - 1) * other * math.log(other)
