"""A language model behind an OpenAI-compatible address."""

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

#: What a server answers that is busy or broken for a moment.
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
#: The longest wait between two tries, in seconds: ours, and one that the server asks for.
_LONGEST_WAIT, _LONGEST_ASKED = 60.0, 600.0
#: More than any answer of the length asked for.
_MOST_BYTES = 1 << 20
#: Calls handed to the workers at once, for each worker.
_WAVE = 8


@dataclass(frozen=True)
class Endpoint:
    """Chat completions over HTTP, with timeouts, retries and a limit of calls a minute.

    The key is read from the environment, sent to this one address, and written nowhere; redirects are refused.

    Args:
        url: The address up to `/chat/completions`, such as `http://localhost:8000/v1`.
        model: The model's name there.
        key_variable: The environment variable that holds the key; unset, none is sent.
        timeout: Seconds without a byte after which a try is given up.
        tries: How often a call is tried, with growing pauses.
        per_minute: Most calls in a minute, tries counted; 0: no limit.
        workers: Calls under way at once.
        first_wait: Seconds before the second try; each further pause is about twice as long.

    Raises:
        InputError: the address is none, or a number is out of range.
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
                raise InputError(f"{getattr(self, name)} is out of range", field=name, remedy=f"use at least {least}")

    @property
    def identity(self) -> str:
        """The model's name and the address."""
        return f"{self.model} at {self.url.rstrip('/')}"

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        """Ask for several at once; each answer comes when it is there. See `Generator.answers`."""
        if decoding.omega:
            remedy = "use 0, or a local model"
            raise InputError("an endpoint gives no logits to contrast", field="--omega", remedy=remedy)
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
                            # Answers that come while others fail are paid for, and kept.
                            yield asked[future], future.result()
                        if failure is not None:
                            for other in asked:
                                other.cancel()
                    if failure is not None:
                        raise failure
                except BaseException:  # Ctrl-C too: do not wait for what has not begun
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
                    problem = f"it answers {error.code}: {_without(key, _message(error))}"
                if error.code not in _PASSING:
                    raise InputError(problem, file=self.url, remedy=self._remedy(error.code)) from None
                asked_to_wait = _seconds(error.headers.get("Retry-After"))
            except (OSError, HTTPException) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
                problem = f"it cannot be reached: {_without(key, reason)}"
            if attempt < self.tries:
                usual = min(self.first_wait * 2 ** (attempt - 1), _LONGEST_WAIT) * random.uniform(0.5, 1)
                pace.pause(usual if asked_to_wait is None else asked_to_wait)
        remedy = "run the same command again later: what was answered is kept"
        raise InputError(f"{problem} ({self.tries} tries)", file=self.url, remedy=remedy)

    def _content(self, reply: bytes) -> str:
        try:
            content: Any = json.loads(reply)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            content = 0
        if not isinstance(content, str | None):
            remedy = "give the part before /chat/completions, such as http://localhost:8000/v1"
            raise InputError("its answer is no chat completion", file=self.url, remedy=remedy)
        return content or ""

    def _remedy(self, code: int) -> str:
        if code in (401, 403):
            return f"set the environment variable {self.key_variable} to a valid key"
        if 300 <= code < 400:
            return "give the final address: a key is not sent on to another one"
        return "check the address and the model's name"


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would take the key along to another host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        """Follow none: the answer that redirects is an error."""


_OPENER = build_opener(_NoRedirect)


def _check_address(url: str, key_variable: str) -> None:
    remedy = "give the part before /chat/completions, such as http://localhost:8000/v1"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise InputError("this is no address", field="--endpoint", remedy=remedy) from None
    if parts.username or parts.password:
        remedy = f"put the key into the environment as {key_variable}"
        raise InputError("the address holds a password", field="--endpoint", remedy=remedy)
    if not good or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise InputError(f"{url.partition('?')[0]!r} is no address", field="--endpoint", remedy=remedy)


def _message(error: HTTPError) -> str:
    """What the server says of its refusal, in one line."""
    try:
        text = error.read(_MOST_BYTES).decode(errors="replace")
    except (OSError, HTTPException):
        text = ""
    try:
        found: Any = json.loads(text)
        found = found.get("error", found)
        text = str(found.get("message", found) if isinstance(found, dict) else found)
    except (ValueError, AttributeError):
        text = "" if "<" in text else text  # an HTML page says nothing in one line
    return " ".join(text.split())[:200] or str(error.reason)


def _without(key: str, text: str) -> str:
    return text.replace(key, "***") if key else text


def _seconds(header: str | None) -> float | None:
    try:
        return min(max(float(header or ""), 0.0), _LONGEST_ASKED)
    except ValueError:
        return None
