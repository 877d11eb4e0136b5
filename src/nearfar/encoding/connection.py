"""A connection to Ray, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nearfar.errors import InputError

__all__ = ["connected"]


@contextmanager
def connected(address: str, workers: int, gpus: float) -> Iterator[None]:
    """A connection to Ray, quiet and without reports of usage to its makers; one that exists already is kept.

    Args:
        address: `local` for a Ray of its own on this machine, else the address of a cluster, as for `ray.init`.
        workers: Number of processes that need a processor each.
        gpus: GPUs of each of them.

    Raises:
        InputError: Ray cannot be reached, or has too few processors.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # What goes wrong arrives as an exception; Ray's own processes also print to the terminal.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray  # pyright: ignore[reportMissingImports]
    import ray.data  # pyright: ignore[reportMissingImports]

    ours = not ray.is_initialized()
    if ours:
        _require_reachable(address)
        local: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (ConnectionError, ValueError, RuntimeError) as error:
            problem = f"Ray cannot be reached at {address!r} ({' '.join(str(error).split()):.120})"
            raise InputError(problem, field="--ray", remedy="use local, or the address of a cluster") from None
    context = ray.data.DataContext.get_current()
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    earlier = [logger.level for logger in loggers]
    order, bars = context.execution_options.preserve_order, context.enable_progress_bars
    started = context.print_on_execution_start
    try:
        context.execution_options.preserve_order, context.enable_progress_bars = True, False
        context.print_on_execution_start = False
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        _require_room(ray.cluster_resources(), workers, gpus)
        yield
    finally:
        context.execution_options.preserve_order, context.enable_progress_bars = order, bars
        context.print_on_execution_start = started
        for logger, level in zip(loggers, earlier, strict=True):
            logger.setLevel(level)
        if ours:
            ray.shutdown()


def _require_reachable(address: str) -> None:
    """Raise an InputError if nobody answers at an address, where Ray would try for minutes."""
    if ":" not in address:  # local, or auto
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=10):
            pass
    except (OSError, ValueError) as error:
        problem = f"Ray cannot be reached at {address!r} ({error})"
        raise InputError(problem, field="--ray", remedy="use local, or the address of a cluster") from None


def _require_room(resources: Mapping[str, float], workers: int, gpus: float) -> None:
    """Raise an InputError if Ray would wait for ever for processors that it has not."""
    for what, needed, option in (("CPU", workers, "--workers"), ("GPU", workers * gpus, "--gpus-per-worker")):
        if needed > resources.get(what, 0):
            had = f"{resources.get(what, 0):g}"
            problem = f"expected a cluster with {needed:g} {what}s for {workers} workers, got {had}"
            raise InputError(problem, field=option, remedy="use fewer workers")
