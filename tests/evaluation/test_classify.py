"""Classification of vectors that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

from nearfar.evaluation.split import split_by_text
from nearfar.evaluation.tasks import classify
from nearfar.evaluation.tasks.classify import measure, measure_classes
from nearfar.evaluation.tasks.task import Asked


class Host:
    """A model whose host is nothing: vectors come from the texts themselves."""

    host = None


@pytest.fixture(autouse=True)
def vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is an angle in degrees."""

    def item_vectors(_: Any, rows: Dataset, *, batch_size: int) -> np.ndarray:
        angles = np.radians([float(text) for text in rows["text"]])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    monkeypatch.setattr(classify, "item_vectors", item_vectors)


def rows(angles: list[float], labels: list[Any]) -> Dataset:
    return Dataset.from_dict({"text": [str(angle) for angle in angles], "label": labels})


def test_five_neighbours_vote() -> None:
    # The nearest is "b", and three of the nearest five are "a".
    train = rows([0, 2, 3, 4, 5, 60, 61, 62, 63], ["b", "a", "a", "a", "b", "b", "b", "b", "b"])
    found = measure_classes(None, train, rows([0.5, 61], ["a", "b"]))  # type: ignore[arg-type]
    assert found.metrics["accuracy_knn"] == 1.0
    # With fewer rows to learn from than neighbours, all of them vote.
    few = measure_classes(None, rows([0, 1, 90], ["a", "a", "b"]), rows([89, 1], ["b", "a"]))  # type: ignore[arg-type]
    assert few.metrics["accuracy_knn"] == 0.5


def test_every_label_counts_alike_in_f1() -> None:
    rng = np.random.default_rng(0)
    angles = [*rng.normal(0, 25, 60), *rng.normal(40, 25, 12)]
    data = rows(angles, ["a"] * 60 + ["b"] * 12)
    train, test = data.select(range(0, 72, 2)), data.select(range(1, 72, 2))
    found = measure_classes(None, train, test)  # type: ignore[arg-type]
    points = [np.stack([np.cos(np.radians(x)), np.sin(np.radians(x))], 1) for x in (angles[::2], angles[1::2])]
    knn = KNeighborsClassifier(5, metric="cosine").fit(points[0], train["label"][:])
    told = knn.predict(points[1])
    assert found.metrics["f1_knn"] == pytest.approx(f1_score(test["label"][:], told, average="macro"))
    assert found.metrics["f1_knn"] != pytest.approx(f1_score(test["label"][:], told, average="micro"))
    assert found.per_item is not None
    assert found.per_item["accuracy_knn"].tolist() == [float(a == b) for a, b in zip(test["label"], told, strict=True)]
    assert found.metrics["accuracy_knn"] == pytest.approx(found.per_item["accuracy_knn"].mean())
    assert found.n == 36


@pytest.mark.parametrize("seed", [0, 1])
def test_a_part_is_split_off_by_the_seed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[list[str], list[str]]] = []
    original = classify.measure_classes

    def noted(model: Any, train: Dataset, test: Dataset, **how: Any) -> Any:
        given.append((train["text"][:], test["text"][:]))
        return original(model, train, test, **how)

    monkeypatch.setattr(classify, "measure_classes", noted)
    data = rows([float(i) for i in range(24)], ["a"] * 12 + ["b"] * 12)
    found = measure(Host, data, Asked(seed=seed))
    learn, test = split_by_text(data["text"], data["label"], seed=seed)
    assert given == [([data["text"][i] for i in learn], [data["text"][i] for i in test])]
    assert found.n == len(test) == 6
    assert found.notes == ()


def test_texts_on_both_sides_are_counted() -> None:
    train = rows([0, 1, 90, 91], ["a", "a", "b", "b"])
    assert not any("are among" in note for note in measure(Host, rows([2, 92], ["a", "b"]), Asked(train=train)).notes)
    note, *_ = measure(Host, rows([0, 90, 92], ["a", "b", "b"]), Asked(train=train)).notes
    assert note.split()[0] == "2"


def test_neighbours_that_are_equally_near_have_no_order() -> None:
    # Six training rows are as near as each other: four of one label, two of the other.
    angles, labels = [10.0] * 6 + [90.0], ["b", "b", "a", "a", "a", "a", "b"]
    first = measure_classes(None, rows(angles, labels), rows([10, 10], ["a", "b"]))  # type: ignore[arg-type]
    again = measure_classes(None, rows(angles[::-1], labels[::-1]), rows([10, 10], ["a", "b"]))  # type: ignore[arg-type]
    assert first.per_item is not None
    assert again.per_item is not None
    assert first.per_item["accuracy_knn"].tolist() == again.per_item["accuracy_knn"].tolist() == [1.0, 0.0]


def test_labels_with_equally_many_neighbours_count_in_part() -> None:
    train = rows([10, 10, 20, 20], ["a", "a", "b", "b"])
    found = measure_classes(None, train, rows([12, 40], ["a", "b"]))  # type: ignore[arg-type]
    assert found.per_item is not None
    assert found.per_item["accuracy_knn"].tolist() == [0.5, 0.5]
    assert found.metrics["accuracy_knn"] == found.metrics["f1_knn"] == 0.5
    assert any("2 of 2 texts" in note for note in found.notes)
