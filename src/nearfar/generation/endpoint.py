"""A language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import math
import os
import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from nearfar.errors import InputError
from nearfar.generation._pace import Pace
from nearfar.generation._secrets import check_key, one_line, without_key
from nearfar.generation._transport import MOST_BYTES, Response, TooLargeError, post
from nearfar.generation.interface import Decoding, Prompt, first_line

#: Status codes of temporary failures.
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
#: Maximum wait between two attempts in seconds: by default, and if the server asks for it (Retry-After).
_LONGEST_WAIT, _LONGEST_ASKED = 60.0, 600.0
#: Characters of an error message that are looked at; far fewer are shown.
_LONGEST_MESSAGE = 10_000
#: A key of so many characters is removed from answers, too.
_SECRET = 12
_ADDRESS_REMEDY = "use the part before /chat/completions, such as http://localhost:8000/v1"
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
        timeout: Seconds after which an attempt fails, from the connection to the last byte of the answer.
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
        self._key()  # refused before anything is sent
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

    def _key(self) -> str:
        key = os.environ.get(self.key_variable, "").strip()
        check_key(key, self.key_variable)
        return key

    def _ask(self, text: str, decoding: Decoding, pace: Pace) -> str:
        key = self._key()
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "stop": ["\n"],
        }
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        address, sent = self.url.rstrip("/") + "/chat/completions", json.dumps(body).encode()
        problem = ""
        for attempt in range(1, self.tries + 1):
            pace.take()
            asked_to_wait = None
            try:
                reply = post(address, sent, headers, self.timeout)
            except TooLargeError:
                problem = f"the response is larger than {MOST_BYTES:,} bytes"
                raise InputError(problem, file=self.url, remedy=_ADDRESS_REMEDY) from None
            except (OSError, HTTPException) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
                problem = f"cannot be reached: {one_line(without_key(key, reason))}"
            except ValueError:  # a name that no host has
                raise InputError("cannot be reached: invalid URL", file=self.url, remedy=_ADDRESS_REMEDY) from None
            else:
                if 200 <= reply.code < 300:
                    answer = self._content(reply, key)
                    # A short word such as EMPTY, which servers without keys ask for, may be part of an answer.
                    return first_line(without_key(key, answer) if len(key) >= _SECRET else answer)
                problem = f"HTTP status {reply.code}: {one_line(without_key(key, _message(reply)))}"
                if reply.code not in _PASSING:
                    raise InputError(problem, file=self.url, remedy=self._remedy(reply.code))
                asked_to_wait = _seconds(reply.headers.get("Retry-After"))
            if attempt < self.tries:
                usual = min(self.first_wait * 2 ** (attempt - 1), _LONGEST_WAIT) * random.uniform(0.5, 1)
                pace.pause(usual if asked_to_wait is None else asked_to_wait)
        remedy = "run the same command again later: answers so far are kept"
        raise InputError(f"{problem} ({self.tries} attempts)", file=self.url, remedy=remedy)

    def _content(self, reply: Response, key: str) -> str:
        found: Any = None
        content: object = 0
        try:
            found = json.loads(reply.body)
            content = found["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        if isinstance(content, list):
            content = _joined(content)
        if isinstance(content, str | None):
            return content or ""
        if isinstance(found, dict) and (found.get("error") or found.get("object") == "error"):
            # Some servers report failures with the status of a success.
            problem = f"the server reports an error: {one_line(without_key(key, _message(reply)))}"
            raise InputError(problem, file=self.url, remedy=self._remedy(reply.code))
        raise InputError("the response is not a chat completion", file=self.url, remedy=_ADDRESS_REMEDY)

    def _remedy(self, code: int) -> str:
        if code in (401, 403):
            return f"set the environment variable {self.key_variable} to a valid key"
        if 300 <= code < 400:
            return "use the final URL: the key is not sent to another one"
        return "check the URL and the name of the model"


def _check_address(url: str, key_variable: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key_variable):
        # Not repeated: who misreads the option gives the key.
        remedy = "give the name of the variable, such as OPENAI_API_KEY, not the key"
        raise InputError("is not the name of an environment variable", field="--key-env", remedy=remedy)
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise InputError("is not a valid URL", field="--endpoint", remedy=_ADDRESS_REMEDY) from None
    if parts.username or parts.password or "@" in url:
        remedy = f"put the key into the environment as {key_variable}"
        raise InputError("the URL contains a password", field="--endpoint", remedy=remedy)
    if not good or parts.query or parts.fragment or not url.isprintable() or " " in url:
        shown = one_line(re.split(r"[?#]", url)[0])
        raise InputError(f"invalid URL {shown!r}", field="--endpoint", remedy=_ADDRESS_REMEDY)


def _joined(parts: list[Any]) -> str | int:
    """The texts of a content of several parts; 0 if there is none. Parts of other types, such as thoughts, are none."""
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type", "text") == "text"]
    found = [text for text in texts if isinstance(text, str)]
    return "".join(found) if found or not parts else 0


def _message(reply: Response) -> str:
    """The error message of the server; it may contain the key."""
    text = reply.body.decode(errors="replace")
    try:
        found: Any = json.loads(text)
        found = found.get("error", found)
        text = str(found.get("message", found) if isinstance(found, dict) else found)
    except (ValueError, AttributeError, RecursionError):
        text = "" if "<" in text or "[[[[" in text else text  # an HTML page has no one-line message
    return text[:_LONGEST_MESSAGE] if text.strip() else reply.reason


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_ASKED)
