"""The rank and the number of processes, as set by torchrun."""

from __future__ import annotations

import os

__all__ = ["is_main_process", "processes"]


def is_main_process() -> bool:
    """Whether this process writes files: the only one, or rank 0 of torchrun."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
