from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.evaluation import evaluate

TOPICS = {"money": ["bank", "loan", "card", "bill"], "music": ["song", "band", "drum", "guitar"]}
TEXTS = [f"{a} {b} {c}" for words in TOPICS.values() for a in words for b in words for c in words]
LABELS = [name for name, words in TOPICS.items() for _ in range(len(words) ** 3)]


def rows(texts: list, labels: list) -> Dataset:
    return Dataset.from_dict({"text": texts, "label": labels})


def test_separable_topics_are_told_apart(tiny_model):
    result = evaluate(tiny_model, rows(TEXTS, LABELS))
    assert (result.task, result.primary, result.n) == ("classify", "accuracy_logistic", 32)
    assert sorted(result.metrics) == ["accuracy_knn", "accuracy_logistic", "f1_knn", "f1_logistic"]
    assert result.score > 0.9
    assert result.per_item is not None
    for name, values in result.per_item.items():
        assert set(values) <= {0.0, 1.0}
        assert values.mean() == pytest.approx(result.metrics[name])


def test_labels_without_meaning_are_not_told_apart(tiny_model):
    shuffled = np.random.default_rng(0).permutation(LABELS).tolist()
    assert evaluate(tiny_model, rows(TEXTS, shuffled)).score < 0.75


def test_training_rows_of_their_own_and_whole_numbers_as_labels(tiny_model):
    labels = [int(name == "music") for name in LABELS]
    train, test = rows(TEXTS[::2], labels[::2]), rows(TEXTS[1::2], labels[1::2])
    result = evaluate(tiny_model, test, train=train)
    assert result.n == 64
    assert result.notes == ()
    assert result.score > 0.9
    assert evaluate(tiny_model, test, train=test).notes == ("64 texts are among the training rows and the test rows",)


def test_clusters(tiny_model):
    result = evaluate(tiny_model, rows(TEXTS, LABELS), task="cluster", seed=3)
    assert (result.primary, result.n, result.per_item) == ("v_measure", 128, None)
    again = evaluate(tiny_model, rows(TEXTS, LABELS), task="cluster", seed=3)
    assert result.metrics == again.metrics
    shuffled = np.random.default_rng(0).permutation(LABELS).tolist()
    assert evaluate(tiny_model, rows(TEXTS, shuffled), task="cluster").score < 0.1


def test_what_cannot_be_told_apart(tiny_model):
    with pytest.raises(InputError, match=r"^label: .*'one'.*got 1\b"):
        evaluate(tiny_model, rows(["a", "b", "c", "c"], ["two", "two", "one", "one"]))
    with pytest.raises(InputError, match=r"^label: .* 2 labels.*got 1\b"):
        evaluate(tiny_model, rows(["a", "b"], ["same", "same"]))
    with pytest.raises(InputError, match=r"^label: .* 2 labels.*got 1\b"):
        evaluate(tiny_model, rows(["a", "b"], ["same", "same"]), task="cluster")
    with pytest.raises(InputError, match="every row has a different label"):
        evaluate(tiny_model, rows(["a", "b"], ["p", "q"]), task="cluster")
    with pytest.raises(InputError, match=r"^label: .*'p'.*got 1\b"):
        evaluate(tiny_model, rows(["a"], ["p"]))
    with pytest.raises(InputError, match=r"^label: row 2\b"):
        evaluate(tiny_model, rows(["a", "b"], ["p", None]))
    train = rows(["a", "b"], ["p", "q"])
    with pytest.raises(InputError, match=r"^label: .*'new'"):
        evaluate(tiny_model, rows(["c"], ["new"]), train=train)
    with pytest.raises(InputError, match=r"^label: .*training rows, got 1"):
        evaluate(tiny_model, train, train=train.select([0]))
    with pytest.raises(InputError, match=r"text: .*got none"):
        evaluate(tiny_model, rows([], []), train=train)
