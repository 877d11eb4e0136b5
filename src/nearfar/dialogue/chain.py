"""A first-order Markov chain of actions: which action follows which, with smoothed probabilities.

    p(b) = (n(b) + 1/2) / sum_c (n(c) + 1/2),    p(b | a) = (n(a, b) + p(b)) / (n(a) + 1)

n counts steps. An action that was never followed by anything has the probabilities p(b).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def fit_chain(
    before: Int[np.ndarray, " steps"], after: Int[np.ndarray, " steps"], states: int
) -> tuple[Float[np.ndarray, "states states"], Float[np.ndarray, " states"]]:
    """The probabilities of the next state.

    Args:
        before: The state before each step.
        after: The state after it.
        states: The number of states.

    Returns:
        The probabilities of each state (column) after each state (row), and without regard to the state before.
    """
    seen = np.bincount(before * states + after, minlength=states**2).reshape(states, states)
    often = seen.sum(0) + 0.5
    p = often / often.sum()
    return (seen + p) / (seen.sum(1, keepdims=True) + 1), p
