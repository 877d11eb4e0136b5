"""Rationales from a generator: prompts, answers in lines, counts, and a log that resumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nearfar.generation import CallLog, Decoding, Prompt
from nearfar.generation.rationales import SAMPLING, Rationale, explain, parse_rationale, with_rationales


class Scripted:
    """Answers with the number of the sample; every third line has no answer."""

    identity = "scripted"

    def __init__(self) -> None:
        self.asked: list[Prompt] = []

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        self.asked += prompts
        for number, prompt in enumerate(prompts):
            line = (
                "no idea" if prompt.sample == 2 else f"Because of {prompt.sample}. The answer is {prompt.sample // 4}."
            )
            yield number, line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("3 + 5 = 8, and 8 - 2 = 6. The answer is 6.", ("3 + 5 = 8, and 8 - 2 = 6.", "6")),
        ("2 + 2 = 4, therefore the final answer is: **4**.", ("2 + 2 = 4", "4")),
        ("The answer is 3? No. So the answer is 5.", ("The answer is 3? No.", "5")),
        ("The answer is 6.", None),
        ("I reason. The answer is", None),
        ("I do not know", None),
    ],
)
def test_the_answer_in_a_line(line: str, expected: tuple[str, str] | None) -> None:
    found = parse_rationale(line)
    assert (None if found is None else (found["text"], found["answer"])) == expected


def test_samples_of_a_question_are_calls_of_their_own_and_are_not_repeated(tmp_path: Path) -> None:
    generator, log = Scripted(), CallLog(tmp_path / "calls.jsonl")
    found = explain(["one?", "two?"], generator, log, samples=5)
    assert [len(each) for each in found] == [4, 4]
    assert len({(prompt.text, prompt.sample) for prompt in generator.asked}) == 10
    assert explain(["one?", "two?"], generator, CallLog(tmp_path / "calls.jsonl"), samples=5) == found
    assert len(generator.asked) == 10
    # Another temperature is another call, and so is greedy decoding.
    log.complete(generator, [generator.asked[0]], Decoding(SAMPLING.max_tokens, temperature=0.2))
    log.complete(generator, [generator.asked[0]], Decoding(SAMPLING.max_tokens))
    assert len(generator.asked) == 12


def test_rows_and_counts() -> None:
    def said(*answers: str) -> list[Rationale]:
        return [{"text": f"reason {n}", "answer": answer} for n, answer in enumerate(answers)]

    rows = [{"question": "a?", "answer": "7"}, {"question": "b?"}, {"question": "c?", "answer": "1"}]
    kept, counts = with_rationales(rows, [said("7.0", "7", "3"), said("yes", "no", "Yes."), []])
    assert [(row["question"], row["answer"], len(row["rationales"])) for row in kept] == [
        ("a?", "7", 3),
        ("b?", "yes", 3),
    ]
    assert counts == {"rationales": 6, "agree": 4, "known": 1, "right": 1}
