"""An endpoint that repeats the key, steers the terminal, never ends, or answers with what no file can contain."""

from __future__ import annotations

import base64
import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from fake_endpoint import completion
from nearfar.errors import InputError
from nearfar.generation import CallLog, Decoding, Prompt
from nearfar.generation.endpoint import Endpoint

KEY = "sk-SECRET0123456789abcdefghijklmnopqrstuvwxyz"


def ask(url: str, **settings) -> str:
    endpoint = Endpoint(url, "some-model", **{"first_wait": 0.01, "timeout": 5, "tries": 1, **settings})
    ((_, answer),) = endpoint.answers([Prompt("one")], Decoding(max_tokens=9))
    return answer


def leaks(text: str, key: str = KEY) -> bool:
    """Whether any eight characters of the key in a row are in a text."""
    return any(key[start : start + 8].casefold() in text.casefold() for start in range(len(key) - 7))


@contextlib.contextmanager
def raw(send: Callable[[Callable[[bytes], object]], object]) -> Iterator[str]:
    """A server that reads a request and then sends bytes."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            with contextlib.suppress(OSError):
                send(self.connection.sendall)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


WAYS = {
    "at the cut": lambda key: "x" * 170 + " " + key,
    "cut by the server": lambda key: f"Incorrect key {key[:12]}",
    "its end": lambda key: f"key ends with {key[-10:]}",
    "escaped": lambda key: "".join(f"\\u{ord(each):04x}" for each in key),
    "hexadecimal escapes": lambda key: "".join(f"\\x{ord(each):02x}" for each in key),
    "url-encoded": lambda key: "".join(f"%{ord(each):02X}" for each in key),
    "url-encoded twice": lambda key: quote("".join(f"%{ord(each):02X}" for each in key)),
    "url-encoded in part": lambda key: key.replace("-", "%2D"),
    "entities": lambda key: "".join(f"&#{ord(each)};" for each in key),
    "hexadecimal entities": lambda key: "".join(f"&#x{ord(each):x};" for each in key),
    "split by spaces": lambda key: " ".join(key),
    "split by lines": lambda key: "\n".join(key),
    "split by invisible characters": "\u200b".join,
    "split by quotes and commas": lambda key: "', '".join(key),
    "split by hyphens": "-".join,
    "upper case": str.upper,
    "turned around": lambda key: key[::-1],
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "hexadecimal": lambda key: key.encode().hex(),
}

AMONG_WORDS = {"at the cut", "cut by the server", "its end"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["error", "text", "reason", "answer"])
def test_a_key_is_not_repeated(server, monkeypatch, way: str, form: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    echo = WAYS[way](KEY)
    if form == "answer":
        server.reply = lambda *_: (200, {}, completion(echo))
        shown = ask(server.url)
    else:
        body = json.dumps({"error": {"message": echo}}) if form == "error" else echo
        server.reply = lambda *_: (400, {}, body)
        with pytest.raises(InputError, match="HTTP status 400") as caught:
            ask(server.url)
        shown = str(caught.value)
    letters = "".join(filter(str.isalnum, shown))
    for text in (shown, letters, shown.replace("%25", "%")):
        assert not leaks(text)
        assert not leaks(text, KEY[::-1])
        assert way in AMONG_WORDS or not leaks(text, echo)


@pytest.mark.parametrize(
    "key", ["sk-se\ncret-key", "sk-se\r\nX: secret-key", "secret key", "sk-secret\u00e9", "\x00secret"]
)
def test_a_key_that_no_header_can_contain_is_refused_before_it_is_sent(server, monkeypatch, key: str) -> None:
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": key})
    with pytest.raises(InputError, match="OPENAI_API_KEY contains") as caught:
        ask(server.url)
    assert "secret" not in str(caught.value)
    assert not server.requests


@pytest.mark.parametrize("name", [KEY, "", "A B", "1A", "A=B"])
def test_a_key_in_place_of_the_variables_name_is_not_repeated(name: str) -> None:
    with pytest.raises(InputError, match=r"^--key-env: ") as caught:
        Endpoint("http://localhost/v1", "m", name)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("url", [f"me:{KEY}@host/v1", f"http://host/v1#{KEY}", f"http://host/v1?key={KEY}"])
def test_a_key_in_the_url_is_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match="--endpoint") as caught:
        Endpoint(url, "m")
    assert not leaks(str(caught.value))


def test_control_characters_of_a_server_are_escaped(server) -> None:
    server.reply = lambda *_: (
        400,
        {},
        json.dumps({"error": {"message": "\x1b[2J\x1b]0;pwn\x07 \x9b31m bad\u202egnp"}}),
    )
    with pytest.raises(InputError) as caught:
        ask(server.url)
    assert str(caught.value).isprintable()
    assert r"\x1b[2J\x1b]0;pwn\x07 \x9b31m bad\u202egnp" in str(caught.value)


def test_an_answer_steers_no_terminal(server) -> None:
    server.reply = lambda *_: (200, {}, completion("\x1b[2Jpwn \x9b x\u2028second"))
    assert ask(server.url) == "[2Jpwn   x"


def test_half_a_surrogate_pair_ends_no_run_and_poisons_no_log(server, tmp_path) -> None:
    server.reply = lambda *_: (200, {}, '{"choices":[{"message":{"content":"a \\ud800 b \\ud83d\\ude00"}}]}')
    log, endpoint = tmp_path / "calls", Endpoint(server.url, "m")
    first = CallLog(log).complete(endpoint, [Prompt("one")])
    assert first == ["a \ufffd b \U0001f600"]
    assert CallLog(log).complete(endpoint, [Prompt("one")]) == first
    assert len(server.requests) == 1
    poisoned = json.loads(log.read_text("utf-8")) | {"answer": "a \ud800 b"}
    log.write_text(json.dumps(poisoned) + "\n", "utf-8")
    assert CallLog(log).complete(endpoint, [Prompt("one")]) == ["a \ufffd b"]


def test_a_log_nested_deeply_is_no_log(tmp_path) -> None:
    (tmp_path / "calls").write_text("[" * 100_000)
    with pytest.raises(InputError, match="calls:1: "):
        CallLog(tmp_path / "calls")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"choices":' * 5_000, '{"error":' + "[" * 100_000, "{" * 9])
@pytest.mark.parametrize("code", [200, 204, 302, 400, 401, 404, 500])
def test_json_nested_deeply(server, code: int, text: str) -> None:
    server.reply = lambda *_: (code, {}, text)
    with pytest.raises(InputError, match="not a chat completion" if code < 300 else f"HTTP status {code}") as caught:
        ask(server.url)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("header", ["nan", "inf", "-5", "1e308", "soon", ""])
def test_a_wait_that_is_no_number(server, monkeypatch, header: str) -> None:
    monkeypatch.setattr("nearfar.generation.endpoint._LONGEST_ASKED", 0.01)
    server.reply = lambda _, number: (
        (429, {"Retry-After": header}, "") if number == 1 else (200, {}, completion("done"))
    )
    assert ask(server.url, tries=2) == "done"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


def drip(send: Callable[[bytes], object], byte: bytes = b" ") -> None:
    while True:
        send(byte)
        time.sleep(0.05)


@pytest.mark.parametrize("where", ["body", "status", "header", "failure"])
def test_a_server_that_drips_is_given_up(where: str) -> None:
    start = {"body": HEAD, "status": b"HTTP/1.1 200 ", "header": b"HTTP/1.1 200 OK\r\nX: "}
    start["failure"] = HEAD.replace(b"200 OK", b"400 No")
    with raw(lambda send: (send(start[where]), drip(send, b"x"))) as url:
        began = time.monotonic()
        with pytest.raises(InputError, match=r"/v1: .*0\.6 seconds .*\b2 attempts"):
            ask(url, timeout=0.6, tries=2)
        assert time.monotonic() - began < 30


@pytest.mark.parametrize("code", [b"200", b"400"])
def test_a_response_without_end(code: bytes) -> None:
    def endless(send: Callable[[bytes], object]) -> None:
        send(b"HTTP/1.1 " + code + b" X\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            send(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    with raw(endless) as url, pytest.raises(InputError, match=r"1,048,576 bytes|HTTP status 400") as caught:
        ask(url, timeout=60)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("head", [b"a" * 200_000, b"HTTP/1.1 200 " + b"a" * 200_000, b"X: y\r\n" * 50_000, b"", b"\0"])
def test_a_response_that_is_no_http(head: bytes) -> None:
    with raw(lambda send: send(head + b"\r\n\r\n")) as url, pytest.raises(InputError, match="cannot be reached"):
        ask(url)


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/x", "file:///etc/passwd", "//[", "", "javascript:x"])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(server, monkeypatch, code: int, location: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply = lambda *_: (code, {"Location": location}, "")
    with pytest.raises(InputError, match=f"HTTP status {code}"):
        ask(server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["http://a..b/v1", "http://" + "a" * 70 + "/v1", "http://127.0.0.1:9/\u00fcber"])
def test_a_host_that_cannot_be(url: str) -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        ask(url)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ([{"type": "text", "text": "hello"}, {"type": "text", "text": " you"}], "hello you"),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hello"}], "hello"),
        ([], ""),
        (None, ""),
    ],
)
def test_a_content_of_parts(server, content, wanted: str) -> None:
    server.reply = lambda *_: (200, {}, json.dumps({"choices": [{"message": {"content": content}}]}))
    assert ask(server.url) == wanted


@pytest.mark.parametrize("choices", ["[]", "null", '[{"text": "x"}]', '[{"message": {"content": 5}}]', "[{}]"])
def test_choices_without_a_text(server, choices: str) -> None:
    server.reply = lambda *_: (200, {}, f'{{"choices": {choices}}}')
    with pytest.raises(InputError, match="not a chat completion"):
        ask(server.url)


@pytest.mark.parametrize(
    "form", ['{{"error": {{"message": "no model {}"}}}}', '{{"object": "error", "message": "{}"}}']
)
def test_an_error_with_the_status_of_a_success(server, monkeypatch, form: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply = lambda *_: (200, {}, form.format(KEY))
    with pytest.raises(InputError, match="the server reports an error") as caught:
        ask(server.url)
    assert not leaks(str(caught.value))


def test_a_response_that_breaks_off_is_asked_for_again() -> None:
    body = completion("whole").encode()
    sizes = iter([len(body) + 500, len(body)])
    head = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n"
    with raw(lambda send: send(head.format(next(sizes)).encode() + body)) as url:
        assert ask(url, tries=2) == "whole"
