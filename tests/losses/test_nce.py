from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from nearfar import contrast, far, geometry, near
from nearfar.losses.nce import binary_nce, debiased_info_nce

SCORES = torch.tensor([[1.2, -0.3, 0.5]], dtype=torch.float64)
FIRST = torch.tensor([[True, False, False]])


def ranking(scores: torch.Tensor, temperature: float = 1.0, farness: far.Far | None = None) -> torch.Tensor:
    """InfoNCE of rows of scores, the first of which is the positive: the candidates are the axes."""
    axes = torch.eye(scores.shape[1], dtype=torch.float64)
    first = near.weights(axes[:1].expand(len(scores), -1))
    return contrast(scores, axes, first, farness, temperature=temperature, similarity="dot")


def test_the_worked_example() -> None:
    assert float(binary_nce(SCORES, FIRST)) == pytest.approx(1.791714695987 / 3, abs=1e-12)
    dots = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    assert float(binary_nce(dots, FIRST)) == pytest.approx(0.439890185199, abs=1e-12)


def test_with_the_frequencies_of_the_noise() -> None:
    q = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    found = binary_nce(SCORES, FIRST, log_noise=(2 * q).log())
    assert float(found) == pytest.approx(2.700894691177 / 3, abs=1e-12)


def test_the_parts_of_binary_nce_and_the_two_columns_of_the_kernel() -> None:
    parts = [0.263282467, 0.554355244, 0.974076984]
    for column, part in enumerate(parts):
        assert float(binary_nce(SCORES[:, [column]], FIRST[:, [column]])) == pytest.approx(part, abs=1e-9)
    # One row for each pair, with the candidates yes and no.
    logits = torch.stack([SCORES[0], torch.zeros(3, dtype=torch.float64)], 1)
    chosen = near.weights(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype=torch.float64))
    both = contrast(logits, torch.eye(2, dtype=torch.float64), chosen, temperature=1.0, similarity="dot")
    assert float(both) == pytest.approx(float(binary_nce(SCORES, FIRST)), abs=1e-12)


def test_ranking_nce_is_the_kernel() -> None:
    loss = float(ranking(SCORES))
    assert loss == pytest.approx(0.542158849199, abs=1e-12)
    assert float(ranking(SCORES, temperature=0.5)) == pytest.approx(0.259578875262, abs=1e-12)
    assert float(ranking(torch.zeros(1, 3, dtype=torch.float64))) == pytest.approx(math.log(3), abs=1e-12)
    assert math.log(3) - loss == pytest.approx(0.556453439469, abs=1e-12), "the bound of the mutual information"
    assert float(ranking(SCORES[:, :2])) == pytest.approx(0.201413277983, abs=1e-12), "one negative: softplus(s- - s+)"
    dots = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    assert float(ranking(dots)) == pytest.approx(0.407605964445, abs=1e-12)


def test_ranking_nce_with_the_frequencies_of_the_noise() -> None:
    q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    assert float(ranking(SCORES - q.log())) == pytest.approx(0.960631721596, abs=1e-12)
    # As weights of the denominator, it is the same up to the constant log q of the positive.
    weighted = ranking(SCORES, farness=far.weighted(1 / q)) + q[0].log()
    assert float(weighted) == pytest.approx(0.960631721596, abs=1e-12)
    uniform = torch.full((3,), 1 / 3, dtype=torch.float64)
    assert float(ranking(SCORES - uniform.log())) == pytest.approx(float(ranking(SCORES)), abs=1e-12)
    changed = binary_nce(SCORES, FIRST, log_noise=(2 * uniform).log().expand(1, 3))
    assert abs(float(changed) - float(binary_nce(SCORES, FIRST))) > 0.1


def test_the_gradient_of_ranking_nce_sums_to_zero_and_that_of_binary_nce_does_not() -> None:
    scores = SCORES.clone().requires_grad_()
    (of_ranking,) = torch.autograd.grad(ranking(scores), scores)
    assert of_ranking[0].tolist() == pytest.approx([-0.418508456, 0.129748301, 0.288760155], abs=1e-9)
    assert float(of_ranking.sum()) == pytest.approx(0, abs=1e-12)
    (of_binary,) = torch.autograd.grad(binary_nce(scores, FIRST), scores)
    assert abs(float(of_binary.sum())) > 0.1


@pytest.mark.parametrize(("temperature", "value"), [(1.0, 0.854355), (0.1, 0.304859), (0.01, 0.3)])
def test_a_triplet_is_two_candidates_with_the_margin_as_weight(temperature: float, value: float) -> None:
    scores = torch.tensor([[0.4, 0.5]], dtype=torch.float64)
    margin = far.weighted(torch.tensor([0.0, 0.2 / temperature], dtype=torch.float64).exp())
    assert float(temperature * ranking(scores, temperature, margin)) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("temperature", "value"), [(0.1, 0.132656), (0.01, 0.100000454)])
def test_without_a_margin_the_hardest_negative_is_left_at_low_temperatures(temperature: float, value: float) -> None:
    scores = torch.tensor([[0.4, 0.5, 0.1]], dtype=torch.float64)
    assert float(temperature * ranking(scores, temperature)) == pytest.approx(value, abs=1e-6)


def test_debiased_negatives() -> None:
    positive, negatives = SCORES[:, 0], SCORES[:, 1:]
    assert float(debiased_info_nce(positive, negatives, 0.0)) == pytest.approx(0.542158849199, abs=1e-12)
    assert float(debiased_info_nce(positive, negatives, 0.1)) == pytest.approx(0.455816989686, abs=1e-12)
    # More cannot be subtracted than leaves each negative as far as can be.
    least = -math.log(math.exp(1.2) / (math.exp(1.2) + 2 * math.exp(-1)))
    assert float(debiased_info_nce(positive, negatives, 0.9)) == pytest.approx(least, abs=1e-12)
    cold = debiased_info_nce(torch.tensor([0.9]), torch.tensor([[0.95, -1.0]]), 0.1, temperature=0.005)
    assert math.isfinite(float(cold))
    with pytest.raises(ValueError, match="prior"):
        debiased_info_nce(positive, negatives, 1.0)


def test_uniformity_of_the_axes_of_the_plane() -> None:
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    assert -geometry.uniformity(points, t=2.0) == pytest.approx(-4.396348967229, abs=1e-12)


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
    assert found.item() == 0
    assert not math.isnan(float(scores.grad.sum()))  # type: ignore[union-attr]
