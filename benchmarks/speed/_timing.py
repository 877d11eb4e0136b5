"""Timing, peak memory and results on disk, for the speed benchmarks."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any


def interleaved(
    contestants: dict[str, Callable[[], Any]], rounds: int, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """Seconds of each contestant in each round: A B C, A B C, ..., so that a slow minute affects all of them equally.

    A first round for warm-up is not counted; `warm_up=False`: the contestants have run before.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(-1 if warm_up else 0, rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if round_ >= 0:
                seconds[name].append(time.perf_counter() - start)
        print(f"round {round_ + 1} of {rounds}, load {os.getloadavg()[0]:.2f}", file=sys.stderr, flush=True)
    return seconds


def summary(seconds: list[float]) -> dict[str, Any]:
    """The median and all rounds, in seconds."""
    return {"median_s": round(statistics.median(seconds), 4), "rounds_s": [round(s, 4) for s in seconds]}


def fresh_process(script: str | Path, *arguments: str) -> dict[str, Any]:
    """The JSON object that a script prints in a new process: peak memory is a property of a process."""
    done = subprocess.run([sys.executable, str(script), *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def peak_mb() -> float:
    """The peak memory of this process so far, in MB (10^6 bytes)."""
    # On Linux, ru_maxrss starts at the size of the parent process; VmHWM does not.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on a Mac


def surroundings(*packages: str) -> dict[str, Any]:
    """Machine, versions and command of a run."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {
        "machine": {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform(terse=True)},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "command": "python " + " ".join([os.path.relpath(sys.argv[0]), *sys.argv[1:]]),
        "load_before": [round(x, 2) for x in os.getloadavg()],
    }


def write(path: Path, result: dict[str, Any]) -> None:
    """Write a result, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(temporary, path)
