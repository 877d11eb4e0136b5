"""Questions for a corpus: what is written, kept, held out and counted."""

from __future__ import annotations

from collections import Counter

import pytest
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.generation import CallLog, Decoding, Prompt
from nearfar.generation.question_kinds import KINDS
from nearfar.generation.questions import Questions, write_questions

WORDS = ["cat", "dog", "fish", "bird", "house", "tree", "guitar", "drum", "bank", "bill"]
CORPUS = [
    {"text": f"the {word} sits on grass and a {word} runs", "document": f"d{row // 2}"}
    for row, word in enumerate(WORDS)
]


class Scripted:
    """Answers by a function of the passage and the number of the call, and remembers what it was asked."""

    identity = "scripted"

    def __init__(self, answer) -> None:
        self.answer, self.asked = answer, []

    def answers(self, prompts: list[Prompt], decoding: Decoding):
        for number, prompt in enumerate(prompts):
            self.asked.append(prompt)
            passage = prompt.text.splitlines()[-2].removeprefix("Passage: ")
            yield number, self.answer(passage, prompt)


def word_of(passage: str) -> str:
    return passage.split()[1]


def asks(passage: str, prompt: Prompt) -> str:
    """A question with the word of the passage, which differs by kind and sample."""
    kind = next((name for name, kind in KINDS.items() if kind.instruction in prompt.text), "own")
    return f"where is my {word_of(passage)} today {kind} {prompt.sample}"


def run(tmp_path, encoder, answer=asks, corpus=CORPUS, log="calls.jsonl", **how):
    generator = Scripted(answer)
    options = {"rank": len(WORDS), "held_out": 0.0, **how}
    found = write_questions(
        Dataset.from_list(corpus), generator, CallLog(tmp_path / log), encoder, Questions(**options)
    )
    return found, generator


def test_kinds_take_turns_and_every_question_is_counted(tmp_path, tiny_model) -> None:
    found, generator = run(tmp_path, tiny_model, per_passage=3, kinds=("question", "search"), instructions=["Hum it."])
    assert len(generator.asked) == 30
    assert Counter(row["kind"] for row in found.kept) == {"question": 10, "search": 10, "own 1": 10}
    assert found.counts["kinds"] == {name: {"written": 10, "kept": 10} for name in ("question", "search", "own 1")}
    assert [row["positive"] for row in found.kept[:3]] == [CORPUS[0]["text"]] * 3
    assert all(1 <= row["rank"] <= 10 for row in found.kept)
    expected = {"passages": 10, "different": 10, "asked": 10, "documents": 5, "written": 30, "kept": 30}
    assert {name: found.counts[name] for name in expected} == expected
    # One question a passage: the kinds are balanced over the passages.
    found, _ = run(tmp_path, tiny_model, per_passage=1, kinds=("question", "search"))
    assert Counter(row["kind"] for row in found.kept) == {"question": 5, "search": 5}


def test_more_questions_than_kinds_are_samples(tmp_path, tiny_model) -> None:
    _, generator = run(tmp_path, tiny_model, per_passage=3, kinds=("claim",))
    assert Counter(prompt.sample for prompt in generator.asked) == {0: 10, 1: 10, 2: 10}
    with pytest.raises(InputError, match="--per-passage"):
        Questions(kinds=("claim",), per_passage=2, decoding=Decoding())


def test_reasons_are_counted_and_dropped_rows_named(tmp_path, tiny_model) -> None:
    answers = {
        "cat": "",
        "dog": "I'm sorry, I cannot help with that.",
        "fish": "What is the passage about?",
        "bird": "bird sits on grass",
        "house": "Where is my house?",
        "tree": "where is my HOUSE",
        "guitar": KINDS["question"].examples[0],
    }
    found, _ = run(
        tmp_path,
        tiny_model,
        lambda passage, prompt: answers.get(word_of(passage), asks(passage, prompt)),
        per_passage=1,
        kinds=("question",),
    )
    reasons = {row["positive"].split()[1]: row["dropped"] for row in found.dropped}
    assert reasons == {
        "cat": "empty",
        "dog": "refusal",
        "fish": "about the text itself",
        "bird": "copied",
        "tree": "duplicate",
        "guitar": "copied",
    }
    assert found.counts["dropped"] == {**dict.fromkeys(reasons.values(), 1), "copied": 2}
    assert [row["positive"].split()[1] for row in found.kept] == ["house", "drum", "bank", "bill"]


def test_a_question_has_to_find_its_passage(tmp_path, tiny_model) -> None:
    """The limit is between the ranks that a run without a limit reports."""
    free, _ = run(tmp_path, tiny_model, per_passage=1)
    assert not free.dropped
    for most in (1, 4):
        found, generator = run(tmp_path, tiny_model, per_passage=1, rank=most)
        assert not generator.asked, "another limit makes no new calls"
        assert found.kept == [row for row in free.kept if row["rank"] <= most]
        assert found.dropped == [{**row, "dropped": "not found"} for row in free.kept if row["rank"] > most]


def test_a_document_is_on_one_side(tmp_path, tiny_model) -> None:
    found, _ = run(tmp_path, tiny_model, held_out=0.4)
    sides = [{row["document"] for row in rows} for rows in (found.kept, found.held_out)]
    assert not sides[0] & sides[1]
    assert len(sides[1]) == found.counts["held_out_documents"] == 2
    assert found.counts["held_out"] == len(found.held_out) == 8
    again, generator = run(tmp_path, tiny_model, held_out=0.4)
    assert (again, generator.asked) == (found, []), "the same seed and log give the same rows"
    others = {
        frozenset(row["document"] for row in run(tmp_path, tiny_model, held_out=0.4, seed=seed)[0].held_out)
        for seed in range(4)
    }
    assert len(others) > 1
    # At least one document on either side, however small the fraction.
    assert run(tmp_path, tiny_model, held_out=0.01)[0].counts["held_out_documents"] == 1
    with pytest.raises(InputError, match="--held-out"):
        run(tmp_path, tiny_model, corpus=CORPUS[:2], held_out=0.1)


def test_a_passage_that_occurs_twice_belongs_to_the_first_document(tmp_path, tiny_model) -> None:
    copy = {"text": CORPUS[0]["text"].upper() + " ", "document": "another"}
    found, _ = run(tmp_path, tiny_model, corpus=[*CORPUS, copy], per_passage=1)
    plain, _ = run(tmp_path, tiny_model, per_passage=1)
    assert found.kept == plain.kept
    assert (found.counts["passages"], found.counts["different"]) == (11, 10)


def test_a_sample_of_passages_is_searched_in_the_whole_corpus(tmp_path, tiny_model) -> None:
    everything, _ = run(tmp_path, tiny_model, per_passage=1)
    found, generator = run(tmp_path, tiny_model, per_passage=1, passages=4)
    assert not generator.asked, "kind and sample of a question do not depend on the sample of passages"
    assert found.counts["asked"] == len(found.kept) == 4
    assert all(row in everything.kept for row in found.kept)
    other, _ = run(tmp_path, tiny_model, per_passage=1, passages=4, seed=1)
    assert other.kept != found.kept


def test_long_passages_are_truncated_for_the_model_only(tmp_path, tiny_model) -> None:
    found, generator = run(tmp_path, tiny_model, per_passage=1, max_passage=12)
    assert all(len(prompt.text.splitlines()[-2]) <= len("Passage: ") + 12 for prompt in generator.asked)
    assert found.counts["truncated"] == 10
    assert found.kept[0]["positive"] == CORPUS[0]["text"]


def test_questions_to_train_on_get_negatives_of_other_documents(tmp_path, tiny_model, monkeypatch) -> None:
    # Nothing is near for a random encoder: with the usual margin it finds no negatives.
    monkeypatch.setattr("nearfar.generation.question_negatives.MARGIN", 0.0)
    plain, _ = run(tmp_path, tiny_model, per_passage=1, held_out=0.4)
    found, generator = run(tmp_path, tiny_model, per_passage=1, held_out=0.4, negatives=2)
    assert not generator.asked, "the same calls"
    assert found.held_out == plain.held_out
    few = [row for row in found.dropped if row["dropped"] == "too few negatives"]
    assert found.counts["dropped"].get("too few negatives", 0) == len(few)
    own = ("anchor", "positive", "kind", "document", "rank")
    assert len(found.kept) + len(few) == len(plain.kept)
    assert all({name: row[name] for name in own} in plain.kept for row in [*found.kept, *few])
    document = {row["text"]: row["document"] for row in CORPUS}
    for row in found.kept:
        negatives = {row["negative_1"], row["negative_2"]}
        assert len(negatives) == 2
        assert row["document"] not in {document[text] for text in negatives}
    assert run(tmp_path, tiny_model, per_passage=1, held_out=0.4, negatives=2)[0] == found
    # More than any question has: mining says so, too, and writes nothing.
    with pytest.raises(InputError, match=r"^--negatives: no question has 9 negatives"):
        run(tmp_path, tiny_model, per_passage=1, held_out=0.4, negatives=9)


@pytest.mark.parametrize(
    "how",
    [
        {"negatives": -1},
        {"kinds": ("riddle",)},
        {"kinds": ()},
        {"instructions": (" ",)},
        {"rank": 0},
        {"held_out": 1.0},
        {"max_copied": 2.0},
    ],
)
def test_options_out_of_range(how) -> None:
    with pytest.raises(InputError):
        Questions(**how)
