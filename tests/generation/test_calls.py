"""The log of calls: nothing is asked twice, whatever happened in between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from nearfar.errors import InputError
from nearfar.generation import CallLog, Decoding, Prompt


class Echo:
    """Answers in upper case, the last prompt first; breaks after some answers where it is told to."""

    identity = "echo"

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.asked: list[str] = []
        self.breaks_after = breaks_after

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        for number in reversed(range(len(prompts))):
            if len(self.asked) == self.breaks_after:
                raise InputError("the line is dead")
            self.asked.append(prompts[number].text)
            yield number, prompts[number].text.upper()


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt(text) for text in texts]


def test_answers_come_in_the_order_of_the_prompts_and_once_each(tmp_path) -> None:
    echo, log = Echo(), CallLog(tmp_path / "calls.jsonl")
    assert log.complete(echo, prompts("a", "b", "a")) == ["A", "B", "A"]
    assert sorted(echo.asked) == ["a", "b"]
    again = Echo()
    assert CallLog(tmp_path / "calls.jsonl").complete(again, prompts("b", "c")) == ["B", "C"]
    assert again.asked == ["c"]


def test_a_run_that_breaks_goes_on_where_it_was(tmp_path) -> None:
    texts = [str(i) for i in range(9)]
    with pytest.raises(InputError, match="dead"):
        CallLog(tmp_path / "calls").complete(Echo(breaks_after=4), prompts(*texts))
    rest = Echo()
    assert CallLog(tmp_path / "calls").complete(rest, prompts(*texts)) == texts
    assert sorted(rest.asked) == texts[:5]


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_line_that_a_kill_cut_off_does_not_count(tmp_path, cut) -> None:
    path = tmp_path / "calls"
    CallLog(path).complete(Echo(), prompts("käse", "b"))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:cut])
    echo = Echo()
    assert CallLog(path).complete(echo, prompts("käse", "b")) == ["KÄSE", "B"]
    # The last cut leaves a whole object without its line end.
    assert echo.asked == ([] if cut == -1 else [json.loads(second)["prompt"]])
    assert CallLog(path).complete(Echo(breaks_after=0), prompts("käse", "b")) == ["KÄSE", "B"]


@pytest.mark.parametrize("cut", [1, 5, 30, -2])
def test_a_kill_may_cut_off_the_first_line(tmp_path, cut) -> None:
    path = tmp_path / "calls"
    CallLog(path).complete(Echo(), prompts("a"))
    path.write_bytes(path.read_bytes()[:cut])
    echo = Echo()
    assert CallLog(path).complete(echo, prompts("a")) == ["A"]
    assert echo.asked == ["a"]
    assert CallLog(path).complete(Echo(breaks_after=0), prompts("a")) == ["A"]


@pytest.mark.parametrize("line", ["no json", "{}", '{"prompt": "a", "key": "b", "answer": 3}', '{"answer": "a"'])
def test_a_file_that_is_no_log_is_left_alone(tmp_path, line) -> None:
    path = tmp_path / "calls"
    path.write_text(line)
    with pytest.raises(InputError, match=r"calls:1: "):
        CallLog(path)
    assert path.read_text() == line


def test_what_decides_an_answer_is_asked_for_anew(tmp_path) -> None:
    def asked(prompt: Prompt, decoding: Decoding) -> bool:
        echo = Echo()
        CallLog(tmp_path / "calls").complete(echo, [prompt], decoding)
        return bool(echo.asked)

    plain = Prompt("a", "not a")
    assert asked(plain, Decoding())
    assert not asked(plain, Decoding())
    assert not asked(Prompt("a", "other"), Decoding(plausibility=0.1)), "without omega the opposite decides nothing"
    assert asked(plain, Decoding(max_tokens=7))
    assert asked(plain, Decoding(omega=0.3))
    assert asked(plain, Decoding(omega=0.4))
    assert asked(plain, Decoding(omega=0.4, plausibility=0.1))
    assert asked(Prompt("a", "other"), Decoding(omega=0.4))
    other = Echo()
    other.identity = "another model"
    CallLog(tmp_path / "calls").complete(other, [plain])
    assert other.asked


def test_lines_can_be_read_by_people(tmp_path) -> None:
    CallLog(tmp_path / "calls").complete(Echo(), prompts("wo ist der Käse"))
    text = (tmp_path / "calls").read_text("utf-8")
    assert "wo ist der Käse" in text
    assert {"prompt", "answer", "model", "max_tokens", "omega"} <= json.loads(text).keys()


@pytest.mark.parametrize("content", ['{"anchor": "a", "positive": "b"}\n', "[1]\n", "no json at all\nsecond\n"])
def test_another_file_is_refused_and_left_alone(tmp_path, content) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=r"rows\.jsonl:1: "):
        CallLog(path)
    assert path.read_text() == content


def test_progress_counts_what_is_there_already(tmp_path) -> None:
    seen: list[tuple[int, int]] = []
    CallLog(tmp_path / "calls").complete(Echo(), prompts("a", "b"))
    CallLog(tmp_path / "calls").complete(Echo(), prompts("a", "b", "c"), progress=lambda *x: seen.append(x))
    assert seen == [(2, 3), (3, 3)]
