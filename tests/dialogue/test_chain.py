"""The Markov chain of actions."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.dialogue.chain import fit_chain


def test_probabilities_by_hand():
    # 0 -> 1 twice, 1 -> 0 once; state 2 never occurs.
    conditional, p = fit_chain(np.array([0, 0, 1]), np.array([1, 1, 0]), 3)
    assert p.tolist() == pytest.approx([1.5 / 4.5, 2.5 / 4.5, 0.5 / 4.5])
    assert conditional[0].tolist() == pytest.approx([p[0] / 3, (2 + p[1]) / 3, p[2] / 3])
    assert conditional[2].tolist() == pytest.approx(p.tolist())
    assert conditional.sum(1).tolist() == pytest.approx([1, 1, 1])
