"""The table of tasks: which rows and which models each takes."""

from __future__ import annotations

from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from nearfar.data.retrieval import Retrieval
from nearfar.errors import InputError
from nearfar.evaluation.dispatch import check_options
from nearfar.evaluation.tasks import TASKS, task_of, tasks_named
from nearfar.evaluation.tasks.task import check_able, columns_of, scores_pairs
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.classifier import Classifier
from nearfar.kinds.encoder import Encoder
from nearfar.kinds.reranker import Reranker
from nearfar.kinds.seq2seq import Seq2SeqLM
from nearfar.kinds.two_towers import TwoTowers

BEIR = Retrieval({"1": "a", "2": "b"}, {"q": "c"}, {"q": {"1": 1}})


def rows(*columns: str) -> Dataset:
    return Dataset.from_dict({column: ["x", "y"] for column in columns})


@pytest.mark.parametrize(
    ("columns", "model", "task", "module"),
    [
        (("sentence1", "sentence2", "score"), Encoder, "sts", "sts"),
        (("sentence1", "sentence2", "score"), Reranker, "sts", "sts"),
        (("query", "candidates", "scores"), Reranker, "ranking", "ranking"),
        (("query", "candidates", "scores"), Encoder, "ranking", "ranking"),
        (("anchor", "positive"), Encoder, "retrieval", "retrieval"),
        (("anchor", "positive"), Reranker, "rerank", "reranking"),
        (("anchor", "positive"), Seq2SeqLM, "perplexity", "perplexity"),
        (("text",), CausalLM, "perplexity", "perplexity"),
        (("text", "label"), CausalLM, "perplexity", "perplexity"),
        (("anchor", "positive"), CausalLM, "perplexity", "perplexity"),
        (("text", "label"), Encoder, "classify", "classify"),
        (("text", "label"), Classifier, "classify", "own_labels"),
        (("audio", "text", "label"), Classifier, "classify", "own_labels"),
        (("image", "label"), TwoTowers, "zero-shot", "zero_shot"),
        (("image", "text"), TwoTowers, "retrieval", "across"),
        (("audio", "text"), TwoTowers, "retrieval", "across"),
        (("audio", "text", "label"), TwoTowers, "zero-shot", "zero_shot"),
        # Without a model, what a model that encodes or scores would be measured by.
        (("anchor", "positive"), None, "retrieval", "retrieval"),
        (("text", "label"), None, "classify", "classify"),
        (("image", "text"), None, "retrieval", "across"),
        (None, Encoder, "retrieval", "retrieval"),
        (None, None, "retrieval", "retrieval"),
    ],
)
def test_columns_and_model_decide(columns: tuple[str, ...] | None, model: Any, task: str, module: str) -> None:
    found = task_of(BEIR if columns is None else rows(*columns), model)
    assert (found.name, found.module) == (task, module)


@pytest.mark.parametrize("name", ["cluster", "few-shot", "zero-shot"])
def test_some_are_chosen_only_by_name(name: str) -> None:
    data = rows("text", "label")
    assert task_of(data, Encoder).name == "classify"
    found = task_of(data, Encoder, name)
    assert (found.name, found.automatic) == (name, False)


@pytest.mark.parametrize(
    ("columns", "model", "name"),
    [
        (("image", "label"), Encoder, None),
        (("image", "text"), Encoder, None),
        # Files are classified by a model that has a tower for them.
        (("image", "label"), Encoder, "classify"),
        (("image", "label"), Encoder, "cluster"),
        (("text", "label"), Reranker, None),
        (("text",), Encoder, "perplexity"),
        (None, CausalLM, None),
        # A sequence-to-sequence model reads targets of sources.
        (("text",), Seq2SeqLM, None),
    ],
)
def test_a_model_without_the_ability_is_refused(columns: tuple[str, ...] | None, model: Any, name: str | None) -> None:
    with pytest.raises(InputError) as caught:
        task_of(BEIR if columns is None else rows(*columns), model, name)
    # What the model can do instead is said where the rows would suit another.
    if caught.value.field == "model":
        able = {each.name for each in TASKS if issubclass(model, each.needs)}
        assert any(each in str(caught.value) for each in able)


def test_files_may_be_classified_where_there_is_a_tower() -> None:
    assert task_of(rows("image", "label"), TwoTowers, "classify").module == "classify"
    assert task_of(rows("image", "label"), TwoTowers, "few-shot").module == "few_shot"


@pytest.mark.parametrize(
    ("columns", "name", "missing"),
    [
        (("anchor", "text"), "retrieval", "positive"),
        (("text",), "classify", "label"),
        (("label",), "classify", "text"),
        (("label",), "zero-shot", "text"),
        (("sentence1", "score"), "sts", "sentence2"),
        (("query", "scores"), "ranking", "candidates"),
        (None, "sts", "sentence1"),
    ],
)
def test_the_column_that_is_missing_is_named(columns: tuple[str, ...] | None, name: str, missing: str) -> None:
    with pytest.raises(InputError) as caught:
        task_of(BEIR if columns is None else rows(*columns), Encoder, name)
    assert repr(missing) in str(caught.value)


def test_columns_that_fit_nothing_are_answered_by_what_would() -> None:
    for model in (None, Encoder, Reranker, CausalLM):
        with pytest.raises(InputError) as caught:
            task_of(rows("question", "reply"), model)
        told = str(caught.value)
        assert "question" in told
        assert ("perplexity" in told) == (model is CausalLM)
        assert ("(sts)" in told) == (model is not CausalLM)
    # A text alone is something to measure a language model on, and no other.
    with pytest.raises(InputError):
        task_of(rows("text"))
    with pytest.raises(InputError) as caught:
        task_of(rows("text"), Encoder)
    assert caught.value.field is None  # the rows are at fault, not the model


def test_a_task_that_no_model_of_a_kind_can_do() -> None:
    check_able("retrieval", Encoder)
    check_able("retrieval", TwoTowers)  # one of the two tasks of this name is enough
    check_able("perplexity", CausalLM)
    for name, model in (("retrieval", Reranker), ("perplexity", Encoder), ("classify", CausalLM)):
        with pytest.raises(InputError) as caught:
            check_able(name, model)
        assert caught.value.field == "model"


def test_options_belong_to_tasks() -> None:
    check_options("classify", train=object(), templates=None, sizes=True)
    check_options("zero-shot", templates=["{}"])
    # Retrieval of texts can be measured at several sizes, that of files cannot.
    check_options("retrieval", sizes=True)
    for task, name, value in (
        ("sts", "train", object()), ("classify", "templates", ["{}"]), ("perplexity", "sizes", True),
        ("zero-shot", "train", object()), ("classify", "templates", []),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            check_options(task, **{name: value})
        assert caught.value.field == name


def test_names_and_data_of_another_kind() -> None:
    assert [each.module for each in tasks_named("retrieval")] == ["across", "retrieval"]
    with pytest.raises(InputError) as caught:
        tasks_named("reorder")
    assert caught.value.field == "task"
    assert all(each.name in str(caught.value) for each in TASKS)
    assert columns_of(BEIR) is None
    assert columns_of(rows("a", "b")) == ["a", "b"]
    for other in (DatasetDict(test=rows("text")), [{"text": "a"}]):
        with pytest.raises(InputError):
            columns_of(other)  # type: ignore[arg-type]


def test_the_missing_column_is_that_of_the_task_with_most_of_them() -> None:
    rows = Dataset.from_dict({"question": ["a?"], "best_answer": ["b"], "correct_answers": [["b"]]})
    with pytest.raises(InputError, match="requires the column 'incorrect_answers'"):
        task_of(rows, name="truthful")
    with pytest.raises(InputError, match="requires the column 'contradictions'"):
        task_of(Dataset.from_dict({"prefix": ["a"], "completion": ["b"]}), name="truthful")


@pytest.mark.parametrize(("name", "scores"), [("rerank", True), ("ranking", True), ("sts", True), ("retrieval", False)])
def test_which_tasks_score_pairs(name: str, scores: bool) -> None:
    assert scores_pairs(name) == scores
    assert not scores_pairs(None)
