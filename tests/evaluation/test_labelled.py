from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.evaluation import evaluate
from nearfar.evaluation.split import split_by_text

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


def test_split_keeps_copies_together_and_labels_on_both_sides():
    texts = [f"text {i % 40}" + " " * (i % 3) for i in range(120)]
    labels = [["a", "b", "b", "b"][i % 4] for i in range(120)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn, test = split_by_text(texts, labels, seed=1)
    assert sorted(learn + test) == list(range(120))
    assert not {texts[i].strip() for i in learn} & {texts[i].strip() for i in test}
    assert Counter(labels[i] for i in test)["a"] in (6, 9)  # 2 or 3 of 10 texts, three copies each
    assert len(test) == 30
    assert split_by_text(texts, labels, seed=1) == (learn, test)
    assert split_by_text(texts, labels, seed=2) != (learn, test)


def test_smallest_split():
    learn, test = split_by_text(["p", "q", "r", "s"], ["a", "a", "b", "b"])
    assert len(learn) == len(test) == 2
    assert {i // 2 for i in learn} == {0, 1} == {i // 2 for i in test}


def test_a_text_with_several_labels_is_of_its_first():
    texts, labels = ["p", "q", "r", "s", "p ", "p"], ["a", "a", "b", "b", "b", "b"]
    for seed in range(4):
        learn, test = split_by_text(texts, labels, seed=seed)
        # Each side has one text of "a" and one of "b", and all copies of "p" are on one side.
        for side in (learn, test):
            assert {texts[i].strip() for i in side} & {"p", "q"}
            assert {texts[i].strip() for i in side} & {"r", "s"}
        assert {0, 4, 5} <= set(learn) or {0, 4, 5} <= set(test)


@pytest.mark.parametrize("seed", range(5))
def test_rare_labels_can_always_be_learnt(seed: int):
    labels = ["common"] * 60 + ["rare"] * 2 + ["scarce"] * 3
    learn, _ = split_by_text([f"text {i}" for i in range(65)], labels, seed=seed)
    assert {labels[i] for i in learn} == {"common", "rare", "scarce"}


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
