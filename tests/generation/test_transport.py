"""One request over HTTP, limited in time and size."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from nearfar.generation import _transport
from nearfar.generation._transport import Response, TooLargeError, post


@contextlib.contextmanager
def server(answer: bytes | Callable[[Callable[[bytes], object]], object]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads one request and sends bytes; its address, and what it read."""
    read: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while line := self.rfile.readline().strip():
                read.append(line)
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            read.append(self.rfile.read(length))
            with contextlib.suppress(OSError):
                send = self.connection.sendall
                answer(send) if callable(answer) else send(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}/v1", read
        found.shutdown()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def reply(body: bytes, status: bytes = b"200 Fine") -> bytes:
    return b"HTTP/1.1 %s\r\nX-Kind: test\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def ask(url: str, seconds: float = 5.0) -> Response:
    return post(url, b"question", {"X-Key": "abc"}, seconds)


def test_body_and_headers_are_sent_and_the_answer_is_read() -> None:
    with server(reply(b"answer")) as (url, read):
        found = ask(url)
    assert (found.code, found.reason, found.body, found.headers["x-kind"]) == (200, "Fine", b"answer", "test")
    assert read[0].startswith(b"POST /v1 ")
    assert b"x-key: abc" in [line.lower() for line in read]
    assert read[-1] == b"question"


@pytest.mark.parametrize("status", [b"404 No", b"429 Slow", b"500 Broken", b"302 Moved"])
def test_a_failure_is_an_answer_too(status: bytes) -> None:
    with server(reply(b"why", status)) as (url, _):
        found = ask(url)
    assert (found.code, found.body) == (int(status[:3]), b"why")


def test_a_redirect_is_not_followed() -> None:
    with server(reply(b"there")) as (there, asked):
        moved = b"HTTP/1.1 307 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % there.encode()
        with server(moved) as (url, _):
            assert ask(url).code == 307
    assert asked == []


def test_a_large_answer_is_an_error_and_a_large_failure_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "MOST_BYTES", 10)
    with server(reply(b"x" * 10)) as (url, _):
        assert len(ask(url).body) == 10
    with server(reply(b"x" * 11)) as (url, _), pytest.raises(TooLargeError):
        ask(url)
    with server(reply(b"x" * 11, b"400 Bad")) as (url, _):
        assert len(ask(url).body) == 10


def test_time_is_limited_as_a_whole() -> None:
    def drip(send: Callable[[bytes], object]) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            send(b"x")
            time.sleep(0.05)

    start = time.monotonic()
    with server(drip) as (url, _), pytest.raises(TimeoutError):
        ask(url, 0.3)
    assert time.monotonic() - start < 4


def test_no_connection_is_an_error() -> None:
    with server(b"") as (url, _):
        pass
    with pytest.raises(OSError, match=r"\w"):
        ask(url)
