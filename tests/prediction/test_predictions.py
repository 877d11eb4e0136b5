from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.special import expit, softmax
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.data import load
from nearfar.errors import InputError
from nearfar.kinds.classifier import Classifier
from nearfar.kinds.pair_scorer import PairScorer
from nearfar.models.label_counts import LabelCounts
from nearfar.models.label_vectors import LabelVectors
from nearfar.models.pairs.head import PairHead, PairHeadConfig
from nearfar.models.word_encoder import word_encoder
from nearfar.prediction import Labeller, labeller, predict, predict_file

TEXTS = ["the cat sleeps on a mat", "a ship sails over the sea", "the dog runs", "the sea", "a dog on a ship"]
LABELS = ["animal", "sea", "ship", "sport"]


@pytest.fixture
def scorer() -> PairScorer:
    torch.manual_seed(0)
    model = word_encoder([*TEXTS, *LABELS], width=8, least=1)
    head = PairHead(PairHeadConfig(8, "binary", hidden=6, features="product", layers=0))
    return PairScorer(model, head, LabelCounts({"animal": 6, "sea": 3, "ship": 1}, negatives=20))


@pytest.fixture
def classifier(tiny_model: SentenceTransformer) -> Classifier:
    head = LabelVectors(32, temperature=0.2)
    torch.manual_seed(0)
    head.add(["happy", "sad", "tired"], torch.randn(3, 32))
    return Classifier(tiny_model, head)


def table(found: list[dict[str, Any]], labels: list[str]) -> np.ndarray:
    """Probabilities in the order of `labels`, of rows that have all."""
    return np.array(
        [[row["probabilities"][row["labels"].index(label)] for label in labels] for row in found], dtype=float
    )


def test_each_label_has_the_probability_of_its_own_score(scorer: PairScorer) -> None:
    found = predict(scorer, TEXTS, LABELS)
    assert [row["text"] for row in found] == TEXTS
    assert table(found, LABELS) == pytest.approx(expit(scorer.score_matrix(TEXTS, LABELS)), rel=1e-5)
    for row in found:
        assert row["probabilities"] == sorted(row["probabilities"], reverse=True)
    assert nearfar.predict is predict


def test_a_label_that_is_added_changes_no_other_and_the_order_changes_nothing(scorer: PairScorer) -> None:
    few, more = predict(scorer, TEXTS, LABELS), predict(scorer, TEXTS, ["new", *LABELS[::-1]])
    assert table(few, LABELS) == pytest.approx(table(more, LABELS), rel=1e-4)


def test_top_keeps_the_most_probable_ones(scorer: PairScorer) -> None:
    whole, two = predict(scorer, TEXTS, LABELS), predict(scorer, TEXTS, LABELS, top=2)
    for all_of_row, first in zip(whole, two, strict=True):
        assert first["labels"] == all_of_row["labels"][:2]
        assert first["probabilities"] == all_of_row["probabilities"][:2]


def test_calibration_adds_the_frequency_of_labels(scorer: PairScorer) -> None:
    scores = scorer.score_matrix(TEXTS, LABELS)
    trained = predict(scorer, TEXTS, LABELS, calibrate="training")
    assert table(trained, LABELS) == pytest.approx(expit(scores + np.log(20 * np.array([6, 3, 1, 1]) / 10)), rel=1e-5)
    counted = predict(scorer, TEXTS, LABELS, calibrate={"sport": 3, "sea": 1})
    assert table(counted, LABELS) == pytest.approx(expit(scores + np.log(20 * np.array([1, 1, 1, 3]) / 4)), rel=1e-5)


def test_counts_are_saved_with_the_model(scorer: PairScorer, tmp_path: Path) -> None:
    scorer.save(tmp_path / "model")
    found = predict(tmp_path / "model", TEXTS, LABELS, calibrate="training")
    assert found == predict(scorer, TEXTS, LABELS, calibrate="training")


def test_a_classifier_predicts_its_own_labels(classifier: Classifier) -> None:
    found = predict(classifier, TEXTS)
    names = classifier.labels
    assert table(found, names) == pytest.approx(softmax(classifier.label_scores(TEXTS) / 0.2, axis=1), rel=1e-4)
    assert [sum(row["probabilities"]) for row in found] == pytest.approx([1] * len(TEXTS), abs=1e-4)
    assert [row["labels"][0] for row in found] == classifier.predict(TEXTS)
    # Unlike a matcher's, the probabilities of its labels change if another one is added.
    classifier.head.add(["late"], torch.randn(1, 32))
    assert (table(predict(classifier, TEXTS), names) < table(found, names)).all()


def test_rows_of_a_file_and_of_a_dataset(scorer: PairScorer, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    right = predict(scorer, TEXTS, LABELS)
    assert predict(scorer, tmp_path / "texts.txt", LABELS) == right
    assert predict(scorer, Dataset.from_dict({"text": TEXTS, "other": TEXTS}), LABELS) == right


def test_a_file_is_written_in_parts(scorer: PairScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.prediction.predictions._CELLS", 2 * len(LABELS))
    how = labeller(scorer, LABELS, "training")
    sizes: list[int] = []
    told: list[tuple[int, int]] = []

    def noted(items: Any) -> np.ndarray:
        sizes.append(len(items))
        return how.probabilities(items)

    out = tmp_path / "found.jsonl"
    rows = Dataset.from_dict({"text": TEXTS})
    noting = Labeller(how.labels, None, 64, noted)
    assert predict_file(noting, rows, out, top=3, progress=lambda *done: told.append(done)) == len(TEXTS)
    assert sizes == [2, 2, 1]
    assert told == [(2, 5), (4, 5), (5, 5)]
    found = [json.loads(line) for line in out.read_text().splitlines()]
    right = predict(scorer, TEXTS, LABELS, top=3, calibrate="training")
    assert [row["labels"] for row in found] == [row["labels"] for row in right]
    assert [row["probabilities"] for row in found] == [pytest.approx(row["probabilities"], rel=1e-4) for row in right]
    # The file can be read as rows with labels.
    assert load(out).column_names == ["text", "labels"]


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.prediction.predictions._BATCHES", 1)
    out = tmp_path / "found.jsonl"
    out.write_text("old")
    parts = iter([np.full((1, 2), 0.5), np.full((1, 2), np.nan)])
    broken = Labeller(["a", "b"], None, 1, lambda items: next(parts))
    with pytest.raises(InputError) as caught:
        predict_file(broken, Dataset.from_dict({"text": ["x", "y"]}), out)
    assert "row 2" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["found.jsonl"]
    assert out.read_text() == "old"


def test_the_labels_are_encoded_once(scorer: PairScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.prediction.predictions._BATCHES", 1)
    encode, sides = scorer.encode, []

    def noted(texts: Any, *, max_length: Any = None, kind: Any = None) -> Any:
        sides.append((kind, len(texts)))
        return encode(texts, max_length=max_length, kind=kind)

    monkeypatch.setattr(scorer, "encode", noted)
    predict(scorer, TEXTS, LABELS, batch_size=2)
    assert sides == [("document", 4), ("query", 2), ("query", 2), ("query", 1)]


def test_what_does_not_fit_a_model_is_refused(
    scorer: PairScorer, classifier: Classifier, tiny_model: SentenceTransformer
) -> None:
    graded = PairScorer(scorer.encoder, PairHead(PairHeadConfig(8, "regression", hidden=2, layers=0)))
    uncounted = PairScorer(scorer.encoder, scorer.head)
    unknown = Classifier(classifier.encoder, LabelVectors(32))
    unknown.head.add(["a", "b"], torch.randn(2, 32))
    for arguments, options, field in (
        ((scorer, TEXTS), {}, "labels"),
        ((scorer, TEXTS, []), {}, "labels"),
        ((scorer, TEXTS, ["a", "b", "a"]), {}, "labels"),
        ((scorer, TEXTS, ["a", " "]), {}, "labels"),
        ((scorer, TEXTS, LABELS), {"top": 0}, "top"),
        ((scorer, TEXTS, LABELS), {"calibrate": "always"}, "calibrate"),
        ((scorer, [], LABELS), {}, "text"),
        ((scorer, ["a cat", 3], LABELS), {}, "text"),
        ((uncounted, TEXTS, LABELS), {"calibrate": "training"}, "calibrate"),
        ((graded, TEXTS, LABELS), {}, "model"),
        ((tiny_model, TEXTS, LABELS), {}, "model"),
        ((classifier, TEXTS, LABELS), {}, "labels"),
        ((classifier, TEXTS), {"calibrate": "training"}, "calibrate"),
        ((unknown, TEXTS), {}, "model"),
    ):
        with pytest.raises(InputError) as caught:
            predict(*arguments, **options)
        assert caught.value.field == field, caught.value
    with pytest.raises(InputError, match="text"):
        predict(scorer, Dataset.from_dict({"body": TEXTS}), LABELS)
