"""An endpoint that is slow, busy, broken, or none at all."""

from __future__ import annotations

import threading
import time

import pytest

from fake_endpoint import completion
from nearfar.errors import InputError
from nearfar.generation import CallLog, Decoding, Prompt
from nearfar.generation.endpoint import Endpoint
from nearfar.generation.instructions import parse_score

KEY = "sk-very-secret-key"


def ask(server, *texts: str, **settings) -> list[str]:
    endpoint = Endpoint(server.url, "some-model", **{"first_wait": 0.01, "timeout": 5, **settings})
    found = dict(endpoint.answers([Prompt(text) for text in texts], Decoding(max_tokens=9)))
    return [found[i] for i in range(len(texts))]


def test_what_is_sent(server, monkeypatch) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY + "\n")
    server.reply = lambda body, _: (200, {}, completion(" " + body["messages"][0]["content"].upper() + "\nmore"))
    assert ask(server, "one", "two", "three", key_variable="OTHER_KEY") == ["ONE", "TWO", "THREE"]
    assert set(server.paths) == {"/v1/chat/completions"}
    body = next(body for body in server.requests if body["messages"][0]["content"] == "one")
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("some-model", 9, 0)
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}


def test_without_a_key_none_is_sent(server, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ask(server, "one")
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize("failure", [(429, {"Retry-After": "0.01"}, ""), (503, {}, "<html>busy"), (0, {}, "")])
def test_a_passing_failure_is_tried_again(server, failure) -> None:
    server.reply = lambda _, number: failure if number < 3 else (200, {}, completion("done"))
    assert ask(server, "one") == ["done"]
    assert len(server.requests) == 3


def test_retry_after_is_obeyed(server) -> None:
    server.reply = lambda _, number: (429, {"Retry-After": "0.3"}, "") if number == 1 else (200, {}, completion("done"))
    began = time.monotonic()
    ask(server, "one")
    assert time.monotonic() - began >= 0.3


def test_a_slow_answer_is_given_up_and_asked_for_again(server) -> None:
    released = threading.Event()

    def reply(_, number):
        if number == 1:
            released.wait(3)
        return 200, {}, completion("done")

    server.reply = reply
    assert ask(server, "one", timeout=0.5) == ["done"]
    released.set()
    assert len(server.requests) >= 2


def test_tries_end(server) -> None:
    server.reply = lambda *_: (500, {}, '{"error": {"message": "out of order"}}')
    with pytest.raises(InputError, match=r"/v1: .*500: out of order .*\b3 attempts"):
        ask(server, "one", tries=3)
    assert len(server.requests) == 3


def test_nobody_listens(server) -> None:
    server.close()
    with pytest.raises(InputError, match="cannot be reached"):
        ask(server, "one", tries=2)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(401, "environment variable OPENAI_API_KEY"), (404, "name of the model"), (400, "name of the model")],
)
def test_a_lasting_failure_is_not_tried_again_and_hides_the_key(server, monkeypatch, code, remedy) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply = lambda *_: (code, {}, f'{{"error": {{"message": "Incorrect key: {KEY}\\nsecond line"}}}}')
    with pytest.raises(InputError, match=remedy) as caught:
        ask(server, "one")
    assert len(server.requests) == 1
    assert KEY not in str(caught.value)
    assert "Incorrect key: ***" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_redirect_gets_no_key(server, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply = lambda *_: (302, {"Location": server.url + "/elsewhere"}, "")
    with pytest.raises(InputError, match="302"):
        ask(server, "one")
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"choices": []}', '{"choices": [{"message": {"content": 3}}]}'])
def test_an_answer_that_is_no_completion(server, text) -> None:
    server.reply = lambda *_: (200, {}, text)
    with pytest.raises(InputError, match="not a chat completion"):
        ask(server, "one")


def test_an_empty_completion_is_an_empty_answer(server) -> None:
    server.reply = lambda *_: (200, {}, completion(None))
    assert ask(server, "one") == [""]


def test_calls_are_spread_over_the_minute(server) -> None:
    began = time.monotonic()
    ask(server, *"abcd", per_minute=600, workers=4)
    assert time.monotonic() - began >= 0.3


def test_workers_run_at_once_and_no_more_than_asked(server) -> None:
    together, running, most, lock = threading.Barrier(3), 0, 0, threading.Lock()

    def reply(*_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(4)  # breaks, and the answer with it, unless three are under way
        with lock:
            running -= 1
        return 200, {}, completion("done")

    server.reply = reply
    assert ask(server, *"abcdefghi", workers=3, tries=1) == ["done"] * 9
    assert most == 3


def test_answers_that_came_before_a_failure_are_in_the_log(server, tmp_path) -> None:
    server.reply = lambda body, number: (200, {}, completion("ok")) if number <= 5 else (400, {}, "no more")
    endpoint = Endpoint(server.url, "m", workers=2)
    prompts = [Prompt(str(i)) for i in range(12)]
    with pytest.raises(InputError, match="no more"):
        CallLog(tmp_path / "calls").complete(endpoint, prompts)
    assert len(CallLog(tmp_path / "calls")) == 5
    server.requests.clear()
    server.reply = lambda *_: (200, {}, completion("ok"))
    assert CallLog(tmp_path / "calls").complete(endpoint, prompts) == ["ok"] * 12
    assert len(server.requests) == 7


def test_no_contrast_without_logits(server) -> None:
    with pytest.raises(InputError, match=r"^--omega: "):
        list(Endpoint(server.url, "m").answers([Prompt("a", "b")], Decoding(omega=0.3)))
    assert not server.requests


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1", "http://h/v1?key=x", "http://a b/"]
)
def test_no_address(url) -> None:
    with pytest.raises(InputError, match=r"^--endpoint: "):
        Endpoint(url, "m")


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="password") as caught:
        Endpoint(f"http://me:{KEY}@host/v1", "m")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "score"),
    [("4", 4.0), ("3.5", 3.5), ("0.0", 0.0), ("4.25", None), ("five", None), ("6", None), ("", None), ("3.5.", None)],
)
def test_scores_are_parsed_strictly(answer, score) -> None:
    assert parse_score(answer) == score
