"""Processes that are forked from one that has imported what they need: it would take each seconds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.multiprocessing.spawn import start_processes

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["sentence_transformers", "nearfar.losses", "nearfar.training.run", "nearfar.cli.app"])
#: Seconds until a process that has not ended is killed.
PATIENCE = 300


def joint(work: Callable[[int, int, str], None], folder: Path, processes: int = 2) -> None:
    """Call `work(rank, processes, folder)` in each of so many processes; an error there is raised here."""
    start_processes(work, (processes, str(folder)), nprocs=processes, start_method="forkserver")


def forked(work: Callable[..., None], *arguments: Any) -> int:
    """Call `work(*arguments)` in a new process; its exit code, negative if a signal ended it."""
    process = CONTEXT.Process(target=work, args=arguments)
    process.start()
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode
