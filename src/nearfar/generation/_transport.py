"""One request over HTTP whose time and size are limited as a whole, and that follows no redirect."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

__all__ = ["MOST_BYTES", "Response", "TooLargeError", "post"]

#: Maximum size of a response.
MOST_BYTES = 1 << 20


class TooLargeError(Exception):
    """The response is larger than `MOST_BYTES`."""


class Response(NamedTuple):
    """What a server answered.

    Args:
        code: The HTTP status.
        reason: Its words.
        headers: By name, without regard to case.
        body: All of it; of a failure at most `MOST_BYTES`.
    """

    code: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def post(address: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Response:
    """Send a body and read the response, whatever its status.

    Args:
        address: The URL.
        body: What to send.
        headers: Of the request. They go to this address alone.
        seconds: How long the whole may take. A limit for silence would let a server drip a byte a second.

    Raises:
        TimeoutError: It took longer.
        TooLargeError: The response of a success is larger than `MOST_BYTES`.
        OSError, http.client.HTTPException: There is no connection, or it broke off.
        ValueError: The address cannot be asked.
    """
    watch = _Watch(seconds)
    opener = build_opener(_NoRedirect, _Http(watch), _Https(watch))
    with watch:
        try:
            request = Request(address, body, dict(headers), method="POST")
            try:
                reply: Any = opener.open(request, timeout=seconds)
            except HTTPError as error:
                reply = error
            with reply:
                found = watch.read(reply)
                if len(found) > MOST_BYTES and 200 <= reply.status < 300:
                    raise TooLargeError
                return Response(reply.status, str(reply.reason), reply.headers, found[:MOST_BYTES])
        except (OSError, http.client.HTTPException, ValueError) as error:
            if watch.expired:
                raise TimeoutError(f"no complete response in {seconds:g} seconds") from error
            raise


class _Watch:
    """Closes a request's connections when its time is over: a blocking read ends in no other way."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._close)
        self._timer.daemon = True

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self._end

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def add(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.append(connection)

    def read(self, reply: Any) -> bytes:
        parts: list[bytes] = []
        size = 0
        while size <= MOST_BYTES and (part := reply.read1(1 << 16)):
            parts.append(part)
            size += len(part)
        if self.expired:
            raise TimeoutError
        if size <= MOST_BYTES and (missing := getattr(reply, "length", None)):
            raise http.client.IncompleteRead(b"", missing)  # the connection broke off: `read1` does not say so
        return b"".join(parts)

    def _close(self) -> None:
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):  # closed meanwhile
                    # Of the plain socket: a TLS one would first change what the reading thread is using.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would send the key to another host: it is an error, and where it leads is not even parsed."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> None:
        """Leave the status to who asked."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _Watched:
    """Mixed into a connection, so that a watch knows its socket."""

    def __init__(self, *args: Any, watch: _Watch, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watch = watch

    def connect(self) -> None:
        super().connect()  # pyright: ignore[reportAttributeAccessIssue]
        self._watch.add(self.sock)  # pyright: ignore[reportAttributeAccessIssue]


class _Connection(_Watched, http.client.HTTPConnection): ...


class _SecureConnection(_Watched, http.client.HTTPSConnection): ...


class _Http(HTTPHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: Request) -> Any:
        return self.do_open(partial(_Connection, watch=self._watch), req)  # pyright: ignore[reportArgumentType]


class _Https(HTTPSHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, req: Request) -> Any:
        return self.do_open(partial(_SecureConnection, watch=self._watch), req)  # pyright: ignore[reportArgumentType]
