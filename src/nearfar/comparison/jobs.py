"""One training as a process of its own: started, followed, and ended with the one that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nearfar.writing import write_text

_SHOWN = 400


@dataclass(frozen=True)
class Job:
    """What a process is to do: train by a recipe and measure, or measure a model as it is.

    Args:
        name: Its files are called by it.
        recipe: A name or a path; None for a model that is measured as it is.
        model: What training starts from, or what is measured.
        training: Rows to train on.
        evaluation: What to measure on.
        learn: Rows that the evaluation's classifier learns on; it splits the evaluation data when None.
        run: The run's folder.
        result: The file that holds what was found; there once the job is done.
        seed: Of the training. What is measured, and how, is the same for all.
        settings: Options of the recipe.
        trial: Steps of each stage of a trial; 0: no trial.
        rows_in_step: Rows that a step of `max_steps` stands for: training takes the steps that draw as many. 0: no more
            and no fewer steps than `max_steps`.
    """

    name: str
    recipe: str | None
    model: str
    training: str
    evaluation: str
    learn: str | None
    run: str
    result: str
    seed: int
    settings: dict[str, Any]
    trial: int = 0
    rows_in_step: int = 0


def is_done(job: Job) -> bool:
    """Whether its result is there."""
    return Path(job.result).exists()


def result_of(job: Job) -> dict[str, Any]:
    """What it found."""
    return json.loads(Path(job.result).read_text("utf-8"))


class Failed(NamedTuple):
    """How a job ended that has no result.

    Args:
        reason: The last line that it said.
        refused: What it was given is wrong; otherwise the work failed.
    """

    reason: str
    refused: bool


def run_job(job: Job, folder: Path, progress: Callable[[int, int, float | None], None] | None = None) -> Failed | None:
    """Run a job to its end; what it prints goes into `folder`.

    Args:
        job: What to do.
        folder: For the job's own description and its log.
        progress: Called with step, steps in all, latest loss.

    Returns:
        How it failed; None where its result is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    description, log = folder / f"{job.name}.json", folder / f"{job.name}.log"
    write_text(json.dumps(asdict(job), indent=2, ensure_ascii=False) + "\n", description)
    with log.open("w", encoding="utf-8") as errors:
        # A pipe that ends with this process, however it ends: the child then leaves too, see the worker.
        child = subprocess.Popen(
            [sys.executable, "-m", "nearfar.comparison.worker", str(description)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=_environment(),
        )
        try:
            assert child.stdout is not None
            for line in child.stdout:
                _follow(line, progress)
            code = child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
    if is_done(job):
        return None
    return Failed(_reason(code, log.read_text("utf-8", errors="replace")), code == 2)


def _follow(line: str, progress: Callable[[int, int, float | None], None] | None) -> None:
    try:
        said = json.loads(line)
        step = said["step"], said["of"], said["loss"]
    except (ValueError, KeyError, TypeError):
        return  # a library's own print
    if progress is not None:
        progress(*step)


def _reason(code: int, log: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        memory = ": the system may have run out of memory" if name == "SIGKILL" else ""
        return f"ended by {name}{memory}"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1].removeprefix("nearfar: ")[:_SHOWN] if lines else f"exit code {code}, and no word"


def _environment() -> dict[str, str]:
    """The child finds this very package, and nothing by chance in the folder that the user stands in."""
    here = str(Path(__file__).parents[2])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
