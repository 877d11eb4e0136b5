"""The rows of a comparison: read or split, checked against each other, and laid down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Image
from PIL import Image as Pictures

from nearfar.comparison.prepared import evaluation_in, prepare, single_texts, training_in, write_rows
from nearfar.comparison.request import Request
from nearfar.data import Retrieval, load
from nearfar.errors import InputError


def pairs(start: int, stop: int) -> Dataset:
    return Dataset.from_dict(
        {"anchor": [f"question {i}" for i in range(start, stop)], "positive": [f"a {i}" for i in range(start, stop)]}
    )


def asked(data: Any, evaluate_on: Any = None, **more: Any) -> Any:
    return prepare(Request([], data, evaluate_on, **more))


def test_rows_in_both_are_refused_or_left_out_of_training():
    with pytest.raises(InputError) as caught:
        asked(pairs(0, 40), pairs(35, 60))
    assert caught.value.field == "--eval"
    found = asked(pairs(0, 40), pairs(35, 60), drop_leaks=True)
    assert (len(found.training), len(found.held_out), found.dropped) == (35, 25, 5)
    # What is said of shared texts is said of the rows that are trained on.
    assert (found.leaks.same, found.leaks.items) == ([], 25)
    clean = asked(pairs(0, 40), pairs(40, 60), drop_leaks=True)
    assert (len(clean.training), clean.dropped, clean.split) == (40, 0, None)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_as_many_rows_are_held_out_as_asked_for(share: float):
    found = asked(pairs(0, 100), held_out=share)
    assert found.split is not None
    assert (len(found.held_out), len(found.training)) == (100 * share, 100 - 100 * share)
    assert found.task == "retrieval"


def test_the_classifier_learns_on_the_training_rows_where_these_know_every_label():
    def labelled(labels: list[str], start: int) -> Dataset:
        return Dataset.from_dict({"text": [f"text {start + i}" for i in range(len(labels))], "label": labels})

    training = labelled(["a", "b"] * 10, 0)
    assert asked(training, labelled(["a", "b", "a"], 100)).learn
    assert not asked(training, labelled(["a", "b", "c"], 100)).learn
    assert not asked(pairs(0, 20), labelled(["a", "b", "a"], 100)).learn
    assert not asked(pairs(0, 20), pairs(20, 40)).learn


def test_hashes_follow_the_rows():
    first = asked(pairs(0, 40), pairs(40, 60)).sha256
    assert first == asked(pairs(0, 40), pairs(40, 60)).sha256
    assert asked(pairs(0, 39), pairs(40, 60)).sha256[1] == first[1]
    assert asked(pairs(0, 39), pairs(40, 60)).sha256[0] != first[0]
    retrieval = Retrieval({"1": "b", "2": "c"}, {"q": "x"}, {"q": {"1": 1}})
    other = Retrieval({"1": "b", "2": "c"}, {"q": "x"}, {"q": {"2": 1}})
    assert asked(pairs(0, 40), retrieval).sha256[1] != asked(pairs(0, 40), other).sha256[1]


def test_each_text_once_for_recipes_that_take_texts():
    rows = Dataset.from_dict({"anchor": ["A", "b"], "positive": ["c", "A"], "negative": ["d", "a"]})
    assert single_texts(rows) == ["A", "c", "d", "b", "a"]
    assert single_texts(Dataset.from_dict({"text": ["a"], "label": ["b"]})) == []


def test_what_is_laid_down_is_what_is_read(tmp_path: Path):
    prepared = asked(pairs(0, 40), pairs(40, 60))
    write_rows(prepared, tmp_path)
    assert load(training_in(tmp_path))["anchor"][:] == prepared.training["anchor"][:]
    assert load(evaluation_in(tmp_path))["positive"][:] == prepared.held_out["positive"][:]
    assert len(load(training_in(tmp_path, texts=True))) == 80
    retrieval = Retrieval({"1": "b", "2": "c"}, {"q": "x"}, {"q": {"1": 1}})
    write_rows(asked(pairs(0, 40), retrieval), tmp_path / "other")
    assert evaluation_in(tmp_path / "other").is_dir()


def test_rows_that_cannot_be_compared_on():
    with pytest.raises(InputError):
        asked(pairs(0, 1), pairs(40, 60))


def test_files_inside_the_dataset_cannot_be_shared_by_processes(tmp_path: Path):
    Pictures.new("RGB", (2, 2)).save(tmp_path / "a.png")
    file = {"path": None, "bytes": (tmp_path / "a.png").read_bytes()}
    rows = Dataset.from_dict({"image": [file] * 40, "text": [f"text {i}" for i in range(40)]})
    with pytest.raises(InputError, match="image"):
        asked(rows.cast_column("image", Image()), pairs(0, 20))
