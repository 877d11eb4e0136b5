"""AnglE's parts by the numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from nearfar.errors import InputError
from nearfar.losses.angle import angle_objective, check_weights

FIRST = torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 0]])
SECOND = torch.tensor([[1, 0.2, 0, 0.5], [1, 0, 0, 1]])


def test_angle_by_the_numbers(tiny_model) -> None:
    loss = angle_objective(tiny_model, in_batch=0, cosine=0, angle=1)
    # The scores of the two pairs are 21.167477 and 0: in that order the loss is log(1 + e^-21.167477).
    assert loss([FIRST, SECOND], torch.tensor([1.0, 0.0])).item() == pytest.approx(6.4e-10, abs=1e-6)
    assert loss([FIRST, SECOND], torch.tensor([0.0, 1.0])).item() == pytest.approx(21.167477, rel=1e-6)


def test_scored_pairs_are_ranked_and_nothing_else(tiny_model) -> None:
    torch.manual_seed(0)
    a, b, scores = torch.randn(6, 8), torch.randn(6, 8), torch.tensor([0.0, 1, 2, 3, 3, 5])
    s = 20 * F.cosine_similarity(a, b)
    terms = [s[i] - s[j] for i in range(6) for j in range(6) if scores[i] < scores[j]]
    cosent = torch.logsumexp(torch.stack([torch.zeros(()), *terms]), 0)
    assert angle_objective(tiny_model, 20, 1, 0)([a, b], scores).item() == pytest.approx(cosent.item(), rel=1e-5)
    both = angle_objective(tiny_model, 20, 1, 1)([a, b], scores) - angle_objective(tiny_model, 0, 0, 1)([a, b], scores)
    assert both.item() == pytest.approx(cosent.item(), rel=1e-4)


def test_pairs_have_negatives_of_the_batch_and_triplets_are_ranked_too(tiny_model) -> None:
    torch.manual_seed(0)
    a, p, n = torch.randn(3, 5, 8)
    unit = [F.normalize(x, dim=1) for x in (a, p, n)]
    pairs = F.cross_entropy(20 * unit[0] @ unit[1].T, torch.arange(5))
    triplets = F.cross_entropy(20 * unit[0] @ torch.cat(unit[1:]).T, torch.arange(5))
    s = 20 * torch.cat([(unit[0] * unit[1]).sum(1), (unit[0] * unit[2]).sum(1)])
    ranked = torch.logsumexp(torch.cat([torch.zeros(1), (s[5:, None] - s[:5]).flatten()]), 0)
    loss = angle_objective(tiny_model, in_batch=2, cosine=3, angle=0)
    assert loss([a, p], None).item() == pytest.approx(2 * pairs.item(), rel=1e-5)
    assert loss([a, p, n], None).item() == pytest.approx((2 * triplets + 3 * ranked).item(), rel=1e-5)


@pytest.mark.parametrize("part", ["in_batch", "cosine", "angle"])
def test_lengths_of_vectors_do_not_matter(tiny_model, part) -> None:
    torch.manual_seed(0)
    columns = list(torch.randn(3, 5, 8))
    longer = [x * torch.rand(5, 1).add(0.1) * 9 for x in columns]
    loss = angle_objective(tiny_model, **{"in_batch": 0, "cosine": 0, "angle": 0, part: 1})
    assert loss(longer, None).item() == pytest.approx(loss(columns, None).item(), rel=1e-5)
    assert loss(columns, None) > 0.1
    weighed = [angle_objective(tiny_model, **{"in_batch": 0, "cosine": 0, "angle": 0, part: w}) for w in (1, 2, 4)]
    for once, twice in pairwise(loss(columns, None).item() for loss in weighed):
        assert twice == pytest.approx(2 * once, rel=1e-6)


@pytest.mark.parametrize(
    ("columns", "weights", "message"),
    [
        (["anchor", "positive"], (0, 1, 1), "ibn: all weights that count for these rows are 0: ibn; set one above 0"),
        (["sentence1", "sentence2", "score"], (1, 0, 0), "cos: all weights that count for these rows are 0: cos, ang"),
        (["anchor", "positive", "negative"], (0, 0, 0), "ibn: all weights that .* are 0: ibn, cos, ang"),
        (["anchor", "positive"], (1, 0, 0), None),
        (["sentence1", "sentence2", "score"], (0, 0, 1), None),
        (["anchor", "positive", "negative_1"], (0, 1, 0), None),
    ],
)
def test_some_part_must_count(columns, weights, message) -> None:
    named = dict(zip(("ibn", "cos", "ang"), weights, strict=True))
    if message is None:
        check_weights(columns, **named)
    else:
        with pytest.raises(InputError, match=message):
            check_weights(columns, **named)
