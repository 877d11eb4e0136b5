from __future__ import annotations

from typing import Any

import pytest
import torch

from nearfar.losses.label_matching import LabelMatchingLoss
from nearfar.losses.nce import binary_nce
from nearfar.models.pairs.head import PairHead, PairHeadConfig
from nearfar.models.word_encoder import word_encoder

TEXTS = ["the cat sleeps on a mat", "a ship sails over the sea", "the dog runs"]
LABELS = [["animal", "sleep"], ["travel"], ["animal", "sport", "outside"]]


@pytest.fixture
def parts() -> tuple[Any, PairHead]:
    torch.manual_seed(0)
    model = word_encoder([*TEXTS, *(label for row in LABELS for label in row)], width=8, least=1)
    return model, PairHead(PairHeadConfig(8, "binary", hidden=6, features="product", layers=0))


def test_drawn_labels_are_those_of_the_batch_and_never_a_text_its_own(parts: Any) -> None:
    loss = LabelMatchingLoss(*parts, LABELS, positives=2, negatives=30)
    own = [loss.rows[0], loss.rows[2]]
    chosen, positive, counted = loss.drawn(own)
    assert chosen.shape == positive.shape == counted.shape == (2, 32)
    for row, mine in enumerate(own):
        assert set(chosen[row][positive[row]].tolist()) <= set(mine.tolist())
        negatives = chosen[row][counted[row] & ~positive[row]].tolist()
        assert negatives
        assert not set(negatives) & set(mine.tolist())
        assert loss.names.index("travel") not in negatives, "no label of a text that is not in the batch"


def test_a_label_that_is_listed_twice_counts_once(parts: Any) -> None:
    loss = LabelMatchingLoss(*parts, [["animal", "sleep", "animal"], []], positives=5, negatives=4)
    assert [row.tolist() for row in loss.rows] == [[0, 1], []]
    _, positive, _ = loss.drawn(loss.rows[:1])
    assert positive.sum() == 2


def test_a_text_with_fewer_labels_has_no_more_of_them(parts: Any) -> None:
    loss = LabelMatchingLoss(*parts, LABELS, positives=5, negatives=4)
    _, positive, counted = loss.drawn(loss.rows)
    assert positive.sum(1).tolist() == [2, 1, 3]
    assert not (positive & ~counted).any()


def test_the_loss_is_that_of_the_logits(parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, head = parts
    loss = LabelMatchingLoss(model, head, LABELS, positives=2, negatives=4)
    drawn = loss.drawn(loss.rows)
    monkeypatch.setattr(loss, "drawn", lambda own: drawn)
    features = model.preprocess(TEXTS, task="query")
    found = loss([features], torch.arange(3))
    with torch.no_grad():
        texts = model.encode(TEXTS, task="query", convert_to_tensor=True).cpu()
        labels = model.encode(loss.names, task="document", convert_to_tensor=True).cpu()
        logits = head.score_matrix(texts, labels)[..., 0].gather(1, drawn[0])
    torch.testing.assert_close(found.detach(), binary_nce(logits, drawn[1], drawn[2]))
    found.backward()
    words = model[0].sub_modules["query"][0].emb_layer.weight
    assert words.grad is not None
    assert words is model[0].sub_modules["document"][0].emb_layer.weight, "one table of words"


def test_scores_do_not_depend_on_other_labels_and_equal_words_score_equally(parts: Any) -> None:
    from nearfar.kinds.pair_scorer import PairScorer

    scorer = PairScorer(*parts)
    few = scorer.score_matrix(TEXTS, ["animal", "travel"])
    more = scorer.score_matrix(TEXTS, ["sport", "travel", "animal", "Animal"])
    assert few[:, 0] == pytest.approx(more[:, 2], abs=1e-6)
    assert few[:, 1] == pytest.approx(more[:, 1], abs=1e-6)
    assert (more[:, 2] == more[:, 3]).all()
    pairs = scorer.score_pairs(TEXTS, ["animal", "travel", "sport"])
    assert pairs == pytest.approx(scorer.score_matrix(TEXTS, ["animal", "travel", "sport"]).diagonal(), abs=1e-6)


def test_a_text_without_a_known_word_gets_zeros_and_a_note(parts: Any, caplog: pytest.LogCaptureFixture) -> None:
    from nearfar.kinds.pair_scorer import PairScorer

    model, head = parts
    found = PairScorer(model, head).encode(["the cat", "xyzzy!"])
    assert len(caplog.records) == 1
    assert found[0].any()
    assert not found[1].any()
    assert not model.encode(["xyzzy"], task="document").any()
