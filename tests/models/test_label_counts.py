from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logit

from nearfar.errors import InputError
from nearfar.losses.label_matching import LabelMatchingLoss
from nearfar.models.label_counts import FILE, LabelCounts
from nearfar.models.pairs.head import PairHead, PairHeadConfig
from nearfar.models.word_encoder import word_encoder

ROWS = [["a", "b", "a"], ["a"], ["a", "c"], ["b"]]


def test_the_noise_is_the_share_of_all_occurrences_times_the_labels_drawn() -> None:
    counts = LabelCounts.of(ROWS, negatives=12)
    assert counts.counts == {"a": 3, "b": 2, "c": 1}
    assert counts.log_noise(["c", "a"]) == pytest.approx([math.log(12 / 6), math.log(12 * 3 / 6)])
    assert counts.log_noise(["never seen"]) == pytest.approx(counts.log_noise(["c"])), "as if it had been seen once"
    other = counts.with_counts({"a": 1, "b": 3})
    assert other.log_noise(["a", "b"]) == pytest.approx([math.log(12 / 4), math.log(12 * 3 / 4)])


def test_the_score_that_the_loss_asks_for_and_the_noise_are_the_logit_of_the_probability() -> None:
    """Texts that a model cannot tell apart: 60 % have the label a, 30 % b, 10 % c, each of them one."""
    rows = [["a"]] * 60 + [["b"]] * 30 + [["c"]] * 10
    torch.manual_seed(0)
    model = word_encoder(["text"], width=4, least=1)
    loss = LabelMatchingLoss(model, PairHead(PairHeadConfig(4, "binary", hidden=2, layers=0)), rows, 1, negatives=2000)
    chosen, positive, counted = loss.drawn(loss.rows)
    best = []
    for label in range(3):
        of_label = (chosen == label) & counted
        # Binary cross-entropy is lowest where the score is the logarithm of this ratio.
        best.append(math.log(int((of_label & positive).sum()) / int((of_label & ~positive).sum())))
    noise = LabelCounts.of(rows, negatives=2000).log_noise(loss.names)
    assert np.array(best) + noise == pytest.approx(logit([0.6, 0.3, 0.1]), abs=0.05)


def test_saved_and_loaded(tmp_path: Path) -> None:
    assert LabelCounts.load(tmp_path) is None
    LabelCounts.of([["Käse"], ["Käse", "b"]], negatives=7).save(tmp_path)
    found = LabelCounts.load(tmp_path)
    assert found == LabelCounts({"Käse": 2, "b": 1}, 7)


@pytest.mark.parametrize(
    "content",
    [
        {"counts": {"a": 0}, "negatives": 1},
        {"counts": {"a": True}, "negatives": 1},
        {"counts": {"a": 1}},
        {"counts": 3},
    ],
)
def test_corrupted_counts_are_refused(tmp_path: Path, content: object) -> None:
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        LabelCounts.load(tmp_path)
    assert caught.value.file == tmp_path / FILE
