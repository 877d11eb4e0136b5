from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from nearfar.losses.nce import binary_nce

SCORES = torch.tensor([[1.2, -0.3, 0.5]], dtype=torch.float64)
FIRST = torch.tensor([[True, False, False]])


def test_the_worked_example() -> None:
    assert float(binary_nce(SCORES, FIRST)) == pytest.approx(1.791714695987 / 3, abs=1e-12)
    dots = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    assert float(binary_nce(dots, FIRST)) == pytest.approx(0.439890185199, abs=1e-12)


def test_with_the_frequencies_of_the_noise() -> None:
    q = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    found = binary_nce(SCORES, FIRST, log_noise=(2 * q).log())
    assert float(found) == pytest.approx(2.700894691177 / 3, abs=1e-12)


def test_labels_that_do_not_count_leave_no_trace() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    positive, counted = torch.rand(4, 6) < 0.4, torch.rand(4, 6) < 0.6
    counted[2] = False
    found = binary_nce(scores, positive, counted)
    each = F.binary_cross_entropy_with_logits(scores, positive.double(), reduction="none")
    rows = [each[row][counted[row]].mean() for row in (0, 1, 3)]
    torch.testing.assert_close(found, sum(rows) / 3)
    found.backward()
    assert scores.grad is not None
    assert not scores.grad[~counted].any()
    assert scores.grad[counted].abs().min() > 0


def test_nothing_to_judge_is_no_loss() -> None:
    scores = torch.randn(2, 3, requires_grad=True)
    found = binary_nce(scores, torch.ones(2, 3).bool(), torch.zeros(2, 3).bool())
    found.backward()
    assert float(found) == 0
    assert not math.isnan(float(scores.grad.sum()))  # type: ignore[union-attr]
