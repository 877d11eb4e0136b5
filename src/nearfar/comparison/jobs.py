"""Training runs as separate processes, which end when the parent process ends."""

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
    """The task of a process: train with a recipe and evaluate, or only evaluate a model.

    Args:
        name: Name of the job and its files.
        recipe: Name or path of a recipe; None for a model that is only evaluated.
        model: The base model of the run, or the model to evaluate.
        training: Path of the training rows.
        evaluation: Path of the evaluation data.
        learn: Path of the rows on which the evaluation's classifier learns; if None, it splits the evaluation data.
        run: Folder of the run.
        result: File with the result; it exists when the job is done.
        seed: Random seed of the training. The evaluation is the same for all jobs.
        settings: Options of the recipe.
        trial: Steps of each stage in a trial; 0: no trial.
        rows_in_step: Number of rows that a step of `max_steps` stands for: the run takes as many steps as are needed
            to draw these rows. 0: exactly `max_steps` steps.
        base: The base model of a trained `model` that is only evaluated; None: `model` itself.
        timed: Whether the time to encode a text is measured.
        keep: The general set on which the model is measured, too: `builtin` or a path; None: no such set.
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
    base: str | None = None
    timed: bool = False
    keep: str | None = None


def is_done(job: Job) -> bool:
    """Whether the job has a result."""
    return Path(job.result).exists()


def result_of(job: Job) -> dict[str, Any]:
    """The result of a job."""
    return json.loads(Path(job.result).read_text("utf-8"))


class Failed(NamedTuple):
    """A job that ended without a result.

    Args:
        reason: The last line of its output.
        refused: Whether its input was invalid; otherwise the job failed.
    """

    reason: str
    refused: bool


def run_job(job: Job, folder: Path, progress: Callable[[int, int, float | None], None] | None = None) -> Failed | None:
    """Run a job to its end; its output goes into `folder`.

    Args:
        job: The job.
        folder: Folder of the job's description and its log.
        progress: Called with step, number of steps, latest loss.

    Returns:
        How the job failed; None if it has a result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    description, log = folder / f"{job.name}.json", folder / f"{job.name}.log"
    write_text(json.dumps(asdict(job), indent=2, ensure_ascii=False) + "\n", description)
    with log.open("w", encoding="utf-8") as errors:
        # This pipe closes when this process ends, in whatever way; the child then exits too, see the worker.
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
        return  # printed by a library
    if progress is not None:
        progress(*step)


def _reason(code: int, log: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        memory = ": the system may have run out of memory" if name == "SIGKILL" else ""
        return f"ended by {name}{memory}"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1].removeprefix("nearfar: ")[:_SHOWN] if lines else f"exit code {code} without a message"


def _environment() -> dict[str, str]:
    """An environment in which the child imports this package, and nothing from the current folder."""
    here = str(Path(__file__).parents[2])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
