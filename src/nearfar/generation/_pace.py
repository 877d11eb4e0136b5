"""A rate limit for calls from several threads, and a way to stop them all."""

from __future__ import annotations

import threading
import time


class StoppedError(Exception):
    """Raised in waiting threads when the calls are stopped."""


class Pace:
    """Spaces calls evenly: at most `per_minute` calls per minute, 0 for no limit."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def take(self) -> None:
        """Wait until a call is allowed.

        Raises:
            StoppedError: The calls were stopped meanwhile.
        """
        with self._lock:
            now = time.monotonic()
            at = max(self._next, now)
            self._next = at + self._gap
        self.pause(at - now)

    def pause(self, seconds: float) -> None:
        """Wait for a number of seconds.

        Raises:
            StoppedError: The calls were stopped meanwhile.
        """
        if self._stopped.wait(max(0.0, seconds)):
            raise StoppedError

    def stop(self) -> None:
        """Stop all calls."""
        self._stopped.set()
