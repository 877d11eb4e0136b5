"""The rank and the number of processes, as set by torchrun."""

from __future__ import annotations

import os

__all__ = ["batches_of_epoch", "is_main_process", "of_all", "processes", "wait_for_all"]


def is_main_process() -> bool:
    """Whether this process writes files: the only one, or rank 0 of torchrun."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def batches_of_epoch(rows: int, batch_size: int) -> int:
    """Batches that each process draws in an epoch; rows that do not fill a batch of every process are left out."""
    return rows // (batch_size * processes())


def wait_for_all() -> None:
    """Return when every process has come here."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def of_all(value: str | None) -> list[str | None]:
    """The values of all processes, in their order."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    found: list[str | None] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found
