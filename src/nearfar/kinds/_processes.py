"""Which of several processes this is, as torchrun says."""

from __future__ import annotations

import os

__all__ = ["is_main_process", "processes"]


def is_main_process() -> bool:
    """Whether this process writes: the only one, or torchrun's first."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
