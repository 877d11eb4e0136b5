"""Retrieval across media: ranks by hand, and from a model's own towers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

import nearfar
from nearfar.errors import InputError
from nearfar.evaluation import bootstrap_mean, evaluate
from nearfar.evaluation.tasks.across import _ranks
from nearfar.models.towers import two_towers


def test_ranks_by_hand() -> None:
    a = np.array([[1.0, 0], [0, 1], [0.6, 0.8]])
    b = np.array([[1.0, 0], [0.8, 0.6], [0, 1]])
    # Similarities: 1 .8 0 / 0 .6 1 / .6 .96 .8
    one_each = np.arange(3)
    assert np.array(_ranks(a, b, one_each, one_each)).tolist() == [[0, 1, 1], [1, 1, 1]]
    # The first of several right ones counts, and they do not stand in each other's way.
    assert _ranks(a, b, np.array([0, 1, 2, 2]), np.array([1, 2, 0, 1]))[0].tolist() == [1, 0, 0]
    # Two are as close: either may be first.
    above, tied = _ranks(a[:1], np.array([[1.0, 0], [1, 0]]), np.array([0]), np.array([1]))
    assert (above.tolist(), tied.tolist()) == ([0], [2])


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    from PIL import Image

    folder = tmp_path_factory.mktemp("across")
    paths = []
    for number in range(7):
        paths.append(str(folder / f"{number}.png"))
        Image.new("RGB", (16, 16), (number * 30, 255 - number * 20, 90)).save(paths[-1])
    texts = [f"the cat {number}" for number in range(6)]
    # The last text has two images, the first image two texts.
    return Dataset.from_dict({"image": [*paths, paths[0]], "text": [*texts, texts[-1], "a dog"]})


def test_what_a_model_finds(rows: Dataset, tiny_model_folder: Path) -> None:
    model = two_towers(str(tiny_model_folder), image="small-vit", image_size=16, device="cpu")
    result = evaluate(model, rows)
    assert (result.task, result.primary, result.n) == ("retrieval", "recall@1", 7)
    assert set(result.metrics) == {"recall@1", "recall@5", "recall@1_to_text", "recall@5_to_text"}
    texts = list(dict.fromkeys(rows["text"]))
    files = list(dict.fromkeys(rows["image"]))
    a, b = model.encode(texts, task="text"), model.encode(files, task="image")
    pairs = set(zip(rows["text"], rows["image"], strict=True))
    for name, queries, targets, scores, order in (
        ("recall@5", texts, files, a @ b.T, 1),
        ("recall@5_to_text", files, texts, b @ a.T, -1),
    ):
        hits = [
            any((query, targets[j])[::order] in pairs for j in np.argsort(-row)[:5])
            for query, row in zip(queries, scores, strict=True)
        ]
        assert result.metrics[name] == pytest.approx(np.mean(hits))
    assert result.per_item is not None
    assert float(result.per_item["recall@1"].mean()) == result.score


def test_labels_ask_for_classes_unless_told_otherwise(rows: Dataset, tiny_model_folder: Path) -> None:
    model = two_towers(str(tiny_model_folder), image="small-vit", image_size=16, device="cpu")
    labelled = rows.add_column("label", ["x", "y"] * 4)
    assert evaluate(model, labelled).task == "zero-shot"
    assert evaluate(model, labelled, "retrieval").task == "retrieval"


def test_one_text_ranks_nothing(rows: Dataset, tiny_model_folder: Path) -> None:
    same = rows.remove_columns("text").add_column("text", ["a cat"] * len(rows))
    model = two_towers(str(tiny_model_folder), image="small-vit", image_size=16, device="cpu")
    with pytest.raises(InputError, match="at least 2 different texts"):
        evaluate(model, same)
    with pytest.raises(InputError, match="model: "):
        evaluate(nearfar.load(tiny_model_folder, device="cpu"), rows)


def test_recall_of_all_files_is_left_out_and_the_seed_decides_the_interval(
    rows: Dataset, tiny_model_folder: Path
) -> None:
    model = two_towers(str(tiny_model_folder), image="small-vit", image_size=16, device="cpu")
    five = rows.select(range(5))
    assert set(evaluate(model, five).metrics) == {"recall@1", "recall@1_to_text"}
    found = [evaluate(model, rows, seed=seed) for seed in (0, 3)]
    for result, seed in zip(found, (0, 3), strict=True):
        assert result.per_item is not None
        assert result.interval == bootstrap_mean(result.per_item["recall@1"], seed=seed)
