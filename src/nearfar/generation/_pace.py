"""When the next call may go out, for several threads; and stopping them all."""

from __future__ import annotations

import threading
import time


class StoppedError(Exception):
    """Raised in a thread that waits when the calls are given up."""


class Pace:
    """Spreads calls evenly: at most so many a minute, 0 for no limit."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def take(self) -> None:
        """Wait until a call may go out.

        Raises:
            StoppedError: the calls were given up meanwhile.
        """
        with self._lock:
            now = time.monotonic()
            at = max(self._next, now)
            self._next = at + self._gap
        self.pause(at - now)

    def pause(self, seconds: float) -> None:
        """Wait so many seconds.

        Raises:
            StoppedError: the calls were given up meanwhile.
        """
        if self._stopped.wait(max(0.0, seconds)):
            raise StoppedError

    def stop(self) -> None:
        """Give all calls up."""
        self._stopped.set()
