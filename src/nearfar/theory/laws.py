"""The next-token laws of many contexts, computed a block of the vocabulary at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

#: Maximum numbers in a block of probabilities.
_NUMBERS = 2**23
#: With fewer probabilities than these in all, they are computed once and kept.
_KEPT = 2**24
#: Laws sum to 1 up to this.
_TOLERANCE = 1e-3


class Laws:
    """The laws p_x of n contexts over v tokens.

    Memory does not grow with n v: unless there are few, a block of the vocabulary is computed, used and dropped.
    Probabilities are at least float32, because half precision breaks square roots and logarithms of them.

    Args:
        log_block: From a slice or numbers of tokens to their log-probabilities, a new tensor (n, tokens).
        shape: (n, v).
        width: Numbers that a token of a block requires, if they are more than n: the width of the head.
    """

    def __init__(self, log_block: Callable[[slice | Tensor], Tensor], shape: tuple[int, int], width: int = 1) -> None:
        self._log_block, self.shape, self._width = log_block, shape, width

    @classmethod
    def of(cls, p: Float[Tensor, "n v"]) -> Laws:
        """Laws as a matrix of probabilities.

        Raises:
            InputError: Not a matrix of distributions.
        """
        if p.ndim != 2 or not p.is_floating_point():
            raise InputError(f"expected probabilities (n, v), got {p.dtype} of shape {tuple(p.shape)}", field="p")
        if not bool((p >= 0).all()) or float((p.sum(1) - 1).abs().max()) > _TOLERANCE:
            raise InputError("expected rows of probabilities that sum to 1", field="p", remedy="apply softmax first")
        return cls(lambda part: _at_least_single(p[:, part]).log(), (p.shape[0], p.shape[1]))

    @classmethod
    def of_head(
        cls, states: Float[Tensor, "n d"], head: Float[Tensor, "v d"], bias: Float[Tensor, " v"] | None = None
    ) -> Laws:
        """The laws softmax(W h + b) of a linear head.

        Raises:
            InputError: The widths of states and head differ.
        """
        if states.ndim != 2 or head.ndim != 2 or states.shape[1] != head.shape[1]:
            problem = f"expected states (n, d) and a head (v, d), got {tuple(states.shape)} and {tuple(head.shape)}"
            raise InputError(problem, field="states")
        h = _at_least_single(states)
        (n, d), v = h.shape, len(head)

        def logits(part: slice | Tensor) -> Tensor:
            found = h @ head[part].to(h).T
            return found if bias is None else found + bias[part].to(h)

        if n * v <= _KEPT:
            log_p = torch.cat([logits(part) for part in _parts(max(n, d), v)], 1).log_softmax(1)
            return cls(lambda part: log_p[:, part].clone(), (n, v))
        log_z = h.new_full((n,), -torch.inf)
        for part in _parts(max(n, d), v):
            log_z = torch.logaddexp(log_z, logits(part).logsumexp(1))
        return cls(lambda part: logits(part) - log_z[:, None], (n, v), d)

    def blocks(self, log: bool = False) -> Iterator[tuple[slice, Float[Tensor, "n block"]]]:
        """Each slice of the vocabulary with its probabilities, or their logarithms."""
        for part in _parts(max(self.shape[0], self._width), self.shape[1]):
            found = self._log_block(part)
            yield part, found if log else found.exp_()

    def mean(self, weights: Float[Tensor, " n"] | None = None) -> Float[Tensor, " v"]:
        """The mean law over contexts, in float64."""
        return torch.cat([_weighted(p, weights) for _, p in self.blocks()])

    def entropies(self) -> Float[Tensor, " n"]:
        """Shannon's entropy of each law, in nats, in float64."""
        return -sum_over(self, lambda log_p: torch.where(log_p > -torch.inf, log_p.exp() * log_p, 0.0), log=True)

    def log_probability(self, tokens: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """log p_x(w_x) of one token for each context, in float64."""
        found = torch.zeros(self.shape[0], dtype=torch.float64, device=tokens.device)
        for part, log_p in self.blocks(log=True):
            rows = ((tokens >= part.start) & (tokens < part.stop)).nonzero().flatten()
            found[rows] = log_p[rows, tokens[rows] - part.start].double()
        return found

    def matrix(self, columns: Int[Tensor, " c"]) -> Float[Tensor, "n c"]:
        """The probabilities of some tokens."""
        return self._log_block(columns).exp_()


def as_laws(laws: Laws | Float[Tensor, "n v"]) -> Laws:
    """Laws as they are, or a matrix of probabilities as laws."""
    return laws if isinstance(laws, Laws) else Laws.of(laws)


def sum_over(laws: Laws, term: Callable[[Tensor], Tensor], log: bool = False) -> Float[Tensor, " n"]:
    """Sum over tokens of a function of the probabilities, or of their logarithms, in float64."""
    total: Tensor | float = 0.0
    for _, block in laws.blocks(log):
        total = total + term(block).sum(1, dtype=torch.float64)
    assert isinstance(total, Tensor)
    return total


def _parts(numbers: int, v: int) -> Iterator[slice]:
    """Slices of the vocabulary, of which each token takes so many numbers."""
    step = max(1, _NUMBERS // max(1, numbers))
    return (slice(start, min(start + step, v)) for start in range(0, v, step))


def _weighted(p: Tensor, weights: Tensor | None) -> Tensor:
    return p.mean(0, dtype=torch.float64) if weights is None else weights.double() @ p.double()


def _at_least_single(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
