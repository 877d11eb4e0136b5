"""Example questions with known answers: how they are chosen, and what is a miss."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nearfar.data import Retrieval
from nearfar.demo.questions import COUNT, DEPTH, SHOWN, Question, ask, sample_questions
from nearfar.errors import InputError
from nearfar.search import Hit

NAMES = [f"m.f{i}" for i in range(40)]
HELD_OUT = Retrieval(
    {name: f"{name}()" for name in NAMES},
    {name: f"Do what {name} does." for name in NAMES[:20]},
    {name: {name: 1} for name in NAMES[:20]},
)


def index_of(order: list[str]) -> Any:
    """An index that returns entries in a given order, whatever the question is."""
    hits = [Hit(rank, name, f"{name}()", 1 - rank / 100) for rank, name in enumerate(order, 1)]
    return SimpleNamespace(metadata=SimpleNamespace(count=len(order)), search=lambda query, k: hits[:k])


def test_questions_are_held_out_items_with_their_answers():
    questions = sample_questions(HELD_OUT, 0)
    assert len({question.text for question in questions}) == COUNT
    for question in questions:
        (name,) = question.expected
        assert question.text == HELD_OUT.queries[name]


def test_the_choice_depends_on_the_seed_and_on_nothing_else():
    assert sample_questions(HELD_OUT, 0) == sample_questions(HELD_OUT, 0)
    assert sample_questions(HELD_OUT, 0) != sample_questions(HELD_OUT, 1)
    turned = Retrieval(HELD_OUT.corpus, dict(reversed(HELD_OUT.queries.items())), HELD_OUT.relevant)
    assert sample_questions(turned, 0) == sample_questions(HELD_OUT, 0)


def test_every_question_can_be_chosen():
    chosen = {question.text for seed in range(60) for question in sample_questions(HELD_OUT, seed)}
    assert chosen == set(HELD_OUT.queries.values())


def test_too_few_questions_are_refused():
    few = Retrieval(HELD_OUT.corpus, dict(list(HELD_OUT.queries.items())[:2]), HELD_OUT.relevant)
    with pytest.raises(InputError, match="got 2"):
        sample_questions(few, 0)


@pytest.mark.parametrize("rank", [1, SHOWN, SHOWN + 1, DEPTH, DEPTH + 1, len(NAMES)])
def test_an_answer_has_the_rank_of_the_expected_entry_and_a_miss_is_a_miss(rank: int):
    others = NAMES[1:]
    order = [*others[: rank - 1], NAMES[0], *others[rank - 1 :]]
    (answer,) = ask(index_of(order), [Question("q", (NAMES[0],))])
    assert answer.best.rank == rank
    assert answer.found is (rank <= DEPTH)
    assert [hit.id for hit in answer.hits] == order[:SHOWN]
    assert [hit.rank for hit in answer.shown] == [*range(1, SHOWN + 1), *([rank] if rank > SHOWN else [])]
    assert f"{rank} of {len(NAMES)}" in answer.verdict
    assert answer.verdict.startswith("not found") is not answer.found
    assert answer.as_dict() == {"entries": [NAMES[0]], "rank": rank, "found": rank <= DEPTH}


def test_the_best_of_several_expected_entries_counts():
    (answer,) = ask(index_of(NAMES), [Question("q", (NAMES[30], NAMES[4]))])
    assert answer.best.id == NAMES[4]


def test_an_index_without_the_expected_entry_is_refused():
    with pytest.raises(InputError, match=r"m\.f3"):
        ask(index_of(NAMES[5:]), [Question("q", (NAMES[3],))])
