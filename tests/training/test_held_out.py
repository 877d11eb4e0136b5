"""What a run is measured on: one set of rows, several tasks, documents held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.evaluation import Interval, evaluate
from nearfar.evaluation.compared import paired_interval
from nearfar.evaluation.result import Result
from nearfar.kinds.encoder import Encoder
from nearfar.recipes import get
from nearfar.training.held_out import MOST_HELD_OUT, HeldOut, averaged, read_held_out, read_rows, split_documents
from nearfar.training.request import Request

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank")


def rows_of_tasks() -> Dataset:
    """Eight pairs of one task and four of another, interleaved."""
    task = ["animals" if i % 3 else "things" for i in range(12)]
    anchors = [f"the {NOUNS[i % 8]} {i}" for i in range(12)]
    return Dataset.from_dict({"anchor": anchors, "positive": [f"a {text} sits" for text in anchors], "task": task})


def request(evaluation: Any, **more: Any) -> Request:
    return Request(get("infonce"), "rows.jsonl", evaluation=evaluation, **more)


def test_each_task_is_measured_by_itself_and_their_mean_is_the_metric(tiny_model: Any) -> None:
    rows = rows_of_tasks()
    held_out = read_held_out(request(rows))
    assert held_out is not None
    assert list(held_out.tasks) == ["things", "animals"]
    assert len(held_out.rows) == 12
    found = held_out.measure(Encoder(tiny_model), seed=0)
    alone = {
        name: evaluate(tiny_model, rows.select([i for i, task in enumerate(rows["task"]) if task == name]))
        for name in ("things", "animals")
    }
    scores = {name: each.score for name, each in alone.items()}
    assert (alone["things"].n, alone["animals"].n) == (4, 8)
    assert scores["things"] != scores["animals"]
    assert found.n == 12
    assert {name: found.metrics[f"ndcg@10 of {name}"] for name in scores} == pytest.approx(scores)
    assert found.score == pytest.approx(sum(scores.values()) / 2)
    # A mean over tasks of different sizes has no value an item, and so no interval.
    assert found.per_item is None
    assert found.interval is None
    assert paired_interval(found, found) is None


def test_what_holds_for_one_task_is_not_said_of_their_mean() -> None:
    values = np.array([0.0, 0.5, 1.0])
    first = Result("sts", "spearman", {"spearman": 0.5}, 3, per_item={"similarity": values, "score": values},
                   notes=("a note",), interval=Interval(0.5, 0.25, 0.75))  # fmt: skip
    second = Result("sts", "spearman", {"spearman": 0.25}, 5, notes=("a note", "another"))
    found = averaged({"one": first, "two": second})
    assert (found.score, found.n, found.notes) == (0.375, 8, ("a note", "another"))
    assert (found.per_item, found.interval) == (None, None)
    assert paired_interval(found, found) is None


def test_rows_without_tasks_are_measured_at_once(tiny_model: Any) -> None:
    rows = rows_of_tasks().remove_columns("task")
    held_out = read_held_out(request(rows))
    assert held_out is not None
    assert not held_out.tasks
    assert held_out.measure(Encoder(tiny_model), seed=0).metrics == evaluate(tiny_model, rows).metrics
    assert read_held_out(request(None)) is None


def test_rows_that_cannot_be_measured_are_named(tiny_model: Any, tmp_path: Path) -> None:
    file = tmp_path / "held.jsonl"
    write_jsonl(
        [{"anchor": "a", "positive": "b", "task": "one"}, {"anchor": "c", "positive": "b", "task": "one"}], file
    )
    held_out = read_held_out(request(str(file)))
    assert held_out is not None
    with pytest.raises(InputError, match=r"held\.jsonl"):
        held_out.measure(Encoder(tiny_model), seed=0)


def test_the_mapping_of_the_training_rows_holds_only_where_it_fits(tmp_path: Path) -> None:
    mapped, plain = tmp_path / "mapped.jsonl", tmp_path / "plain.jsonl"
    write_jsonl([{"q": "x", "positive": "y"}] * 3, mapped)
    write_jsonl([{"anchor": "x", "positive": "y"}] * 3, plain)
    rows, used = read_rows(mapped, {"anchor": "q"}, None)
    assert (rows["anchor"][0], used) == ("x", {"anchor": "q"})  # type: ignore[index]
    rows, used = read_rows(plain, {"anchor": "q"}, None)
    assert (rows["anchor"][0], used) == ("x", None)  # type: ignore[index]
    # Their own mapping stands above it, the empty one too.
    with pytest.raises(InputError):
        read_rows(mapped, {"anchor": "q"}, {})
    rows, used = read_rows(mapped, None, {"anchor": "q"})
    assert used == {"anchor": "q"}
    # A fault of another kind is not hidden by trying again.
    (tmp_path / "broken.jsonl").write_text('{"q": "x", "positive": "y"}\n{"q": "x", "positive": 7}\n')
    with pytest.raises(InputError) as caught:
        read_rows(tmp_path / "broken.jsonl", {"anchor": "q"}, None)
    assert caught.value.line == 2


def test_documents_are_held_out_by_part_and_seed() -> None:
    rows = Dataset.from_dict({"text": [f"document {i}" for i in range(50)]})
    training, held_out = split_documents(rows, 0.1, seed=0)
    assert held_out is not None
    assert (len(training), len(held_out)) == (45, 5)
    assert sorted([*training["text"], *held_out["text"]]) == sorted(rows["text"])
    # Each in the order of the data.
    for part in (training, held_out):
        numbers = [int(text.split()[1]) for text in part["text"]]
        assert numbers == sorted(numbers)
    assert split_documents(rows, 0.1, seed=0)[1]["text"][:] == held_out["text"][:]  # type: ignore[index]
    assert split_documents(rows, 0.1, seed=1)[1]["text"][:] != held_out["text"][:]  # type: ignore[index]
    assert split_documents(rows, 0.0, seed=0) == (rows, None)


def test_one_document_at_least_and_a_thousand_at_most_are_held_out() -> None:
    few = Dataset.from_dict({"text": ["a", "b", "c"]})
    training, held_out = split_documents(few, 0.05, seed=0)
    assert held_out is not None
    assert (len(training), len(held_out)) == (2, 1)
    many = Dataset.from_dict({"text": [str(i) for i in range(4 * MOST_HELD_OUT)]})
    training, held_out = split_documents(many, 0.5, seed=0)
    assert held_out is not None
    assert len(held_out) == MOST_HELD_OUT == 1000
    assert len(training) == 3 * MOST_HELD_OUT
    with pytest.raises(InputError) as caught:
        split_documents(few.select([0]), 0.5, seed=0)
    assert caught.value.field == "held_out"


def test_labelled_rows_belong_to_the_first_task_with_their_label() -> None:
    def labelled(*labels: Any) -> Dataset:
        return Dataset.from_dict({"text": [f"text {i}" for i in range(len(labels))], "label": list(labels)})

    stream = {"one": labelled("a", "b"), "two": labelled("b", "c"), "three": labelled("d")}
    found = HeldOut(labelled("c", "b", "a", "c"), {}).by_labels_of(stream)
    assert {name: part["label"][:] for name, part in found.tasks.items()} == {"one": ["b", "a"], "two": ["c", "c"]}
    assert HeldOut(labelled(1, 0), {}).by_labels_of({"one": labelled("0", "1")}).tasks["one"]["label"][:] == [1, 0]
    with pytest.raises(InputError, match="'e'"):
        HeldOut(labelled("a", "e"), {}).by_labels_of(stream)
    given = HeldOut(labelled("e"), {"own": labelled("e")})
    assert given.by_labels_of(stream) is given
