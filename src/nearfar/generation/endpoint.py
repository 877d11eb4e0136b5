"""A language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from nearfar.errors import InputError
from nearfar.generation._pace import Pace
from nearfar.generation.interface import Decoding, Prompt, first_line

#: Status codes of temporary failures.
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
#: Maximum wait between two attempts in seconds: by default, and if the server asks for it (Retry-After).
_LONGEST_WAIT, _LONGEST_ASKED = 60.0, 600.0
#: Maximum size of a response.
_MOST_BYTES = 1 << 20
#: Calls submitted at a time, per worker.
_WAVE = 8


@dataclass(frozen=True)
class Endpoint:
    """Chat completions over HTTP, with timeouts, retries and a rate limit.

    The key is read from the environment, sent only to this URL, and never written; redirects are refused.

    Args:
        url: The URL without `/chat/completions`, such as `http://localhost:8000/v1`.
        model: Name of the model at the endpoint.
        key_variable: Environment variable with the key; if it is not set, no key is sent.
        timeout: Seconds without data after which an attempt fails.
        tries: Maximum number of attempts per call, with increasing pauses.
        per_minute: Rate limit in calls per minute, including repeated attempts; 0: no limit.
        workers: Number of concurrent calls.
        first_wait: Seconds before the second attempt; each further pause is about twice as long.

    Raises:
        InputError: The URL is invalid, or a number is out of range.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    tries: int = 6
    per_minute: float = 0.0
    workers: int = 4
    first_wait: float = field(default=1.0, repr=False)

    def __post_init__(self) -> None:
        _check_address(self.url, self.key_variable)
        for name, least in (("timeout", 0.001), ("tries", 1), ("per_minute", 0), ("workers", 1), ("first_wait", 0)):
            if not least <= getattr(self, name) < float("inf"):
                raise InputError(f"invalid value {getattr(self, name)}: must be at least {least}", field=name)

    @property
    def identity(self) -> str:
        """The name of the model and the URL."""
        return f"{self.model} at {self.url.rstrip('/')}"

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        """Make several calls at once and yield each answer when it arrives. See `Generator.answers`."""
        if decoding.omega:
            remedy = "use 0, or a local model"
            raise InputError("an endpoint returns no logits, which omega requires", field="--omega", remedy=remedy)
        pace, wave = Pace(self.per_minute), _WAVE * self.workers
        with ThreadPoolExecutor(self.workers) as pool:
            for start in range(0, len(prompts), wave):
                numbers = range(start, min(start + wave, len(prompts)))
                asked = {pool.submit(self._ask, prompts[i].text, decoding, pace): i for i in numbers}
                failure: BaseException | None = None
                try:
                    for future in as_completed(asked):
                        error = None if future.cancelled() else future.exception()
                        if error is not None and failure is None:
                            failure = error
                            pace.stop()
                        elif error is None and not future.cancelled():
                            # Answers that arrive while another call fails are paid for, so they are kept.
                            yield asked[future], future.result()
                        if failure is not None:
                            for other in asked:
                                other.cancel()
                    if failure is not None:
                        raise failure
                except BaseException:  # also Ctrl-C: do not wait for calls that have not started
                    pace.stop()
                    for future in asked:
                        future.cancel()
                    raise

    def _ask(self, text: str, decoding: Decoding, pace: Pace) -> str:
        key = os.environ.get(self.key_variable, "").strip()
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": decoding.max_tokens,
            "temperature": 0,
            "stop": ["\n"],
        }
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        address = self.url.rstrip("/") + "/chat/completions"
        problem = ""
        for attempt in range(1, self.tries + 1):
            pace.take()
            asked_to_wait = None
            try:
                with _OPENER.open(Request(address, json.dumps(body).encode(), headers), timeout=self.timeout) as reply:
                    return first_line(self._content(reply.read(_MOST_BYTES)))
            except HTTPError as error:
                with error:
                    problem = f"HTTP status {error.code}: {_without(key, _message(error))}"
                if error.code not in _PASSING:
                    raise InputError(problem, file=self.url, remedy=self._remedy(error.code)) from None
                asked_to_wait = _seconds(error.headers.get("Retry-After"))
            except (OSError, HTTPException) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
                problem = f"cannot be reached: {_without(key, reason)}"
            if attempt < self.tries:
                usual = min(self.first_wait * 2 ** (attempt - 1), _LONGEST_WAIT) * random.uniform(0.5, 1)
                pace.pause(usual if asked_to_wait is None else asked_to_wait)
        remedy = "run the same command again later: answers so far are kept"
        raise InputError(f"{problem} ({self.tries} attempts)", file=self.url, remedy=remedy)

    def _content(self, reply: bytes) -> str:
        try:
            content: Any = json.loads(reply)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            content = 0
        if not isinstance(content, str | None):
            remedy = "use the part before /chat/completions, such as http://localhost:8000/v1"
            raise InputError("the response is not a chat completion", file=self.url, remedy=remedy)
        return content or ""

    def _remedy(self, code: int) -> str:
        if code in (401, 403):
            return f"set the environment variable {self.key_variable} to a valid key"
        if 300 <= code < 400:
            return "use the final URL: the key is not sent to another one"
        return "check the URL and the name of the model"


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would send the key to another host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        """Follow no redirect: it is an error."""


_OPENER = build_opener(_NoRedirect)


def _check_address(url: str, key_variable: str) -> None:
    remedy = "use the part before /chat/completions, such as http://localhost:8000/v1"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise InputError("is not a valid URL", field="--endpoint", remedy=remedy) from None
    if parts.username or parts.password:
        remedy = f"put the key into the environment as {key_variable}"
        raise InputError("the URL contains a password", field="--endpoint", remedy=remedy)
    if not good or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise InputError(f"invalid URL {url.partition('?')[0]!r}", field="--endpoint", remedy=remedy)


def _message(error: HTTPError) -> str:
    """The error message of the server, in one line."""
    try:
        text = error.read(_MOST_BYTES).decode(errors="replace")
    except (OSError, HTTPException):
        text = ""
    try:
        found: Any = json.loads(text)
        found = found.get("error", found)
        text = str(found.get("message", found) if isinstance(found, dict) else found)
    except (ValueError, AttributeError):
        text = "" if "<" in text else text  # an HTML page has no one-line message
    return " ".join(text.split())[:200] or str(error.reason)


def _without(key: str, text: str) -> str:
    return text.replace(key, "***") if key else text


def _seconds(header: str | None) -> float | None:
    try:
        return min(max(float(header or ""), 0.0), _LONGEST_ASKED)
    except ValueError:
        return None
