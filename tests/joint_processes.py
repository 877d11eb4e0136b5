"""Processes that compute together, forked from one that has imported what they need: it would take each seconds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

from torch.multiprocessing.spawn import start_processes

multiprocessing.get_context("forkserver").set_forkserver_preload(["sentence_transformers", "nearfar.losses"])


def joint(work: Callable[[int, int, str], None], folder: Path, processes: int = 2) -> None:
    """Call `work(rank, processes, folder)` in each of so many processes; an error there is raised here."""
    start_processes(work, (processes, str(folder)), nprocs=processes, start_method="forkserver")
