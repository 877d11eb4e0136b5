"""Processes that load batches ahead of the training step: their warnings and their errors."""

from __future__ import annotations

import os

from nearfar.errors import InputError

__all__ = ["before_workers", "of_worker"]

#: How torch begins the message of an error in such a process; it ends with the original one.
_CAUGHT = f"Caught {InputError.__name__} in DataLoader worker process"


def before_workers(count: int) -> None:
    """Before so many processes are forked, turn off the threads of tokenizers, which otherwise warn in each of them."""
    if count:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def of_worker(error: Exception) -> InputError | None:
    """What a user should read of an error in a process that loads batches; None for any other error."""
    text = str(error)
    if isinstance(error, InputError) and text.startswith(_CAUGHT):
        # Without torch's traceback, which stands before it.
        return InputError(text.rpartition(f"{InputError.__module__}.{InputError.__name__}: ")[2])
    if "DataLoader worker" in text and "shared memory" in text:
        problem = "the processes that load batches have too little shared memory"
        return InputError(problem, field="workers", remedy="set workers=0, or give the container more (--shm-size)")
    return None
