"""Training runs as separate processes, which end when the parent process ends; a launcher may start them elsewhere."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from nearfar.comparison.forking import Forked, environment_of_workers, running_server
from nearfar.comparison.launching import Launcher
from nearfar.writing import write_text

_SHOWN = 400
#: How the last line of an error begins.
_OURS = "nearfar: "
#: Maximum number of seconds until a launcher has ended, and until a result appears on a shared file system.
_PATIENCE = 10.0
#: The process of a job.
Child = subprocess.Popen[str] | Forked
#: The processes of all jobs that are running.
_running: set[Child] = set()


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
        launcher: Starts the process, which may then be on another host, see `nearfar.comparison.launching`; None: it
            starts on this machine.
        keep: The general set on which the model is measured, too: `builtin` or a path; None: no such set.
        kind: The kind as which the base model is loaded to be evaluated; None: as it was saved.
        trainer_args: Further arguments of the Hugging Face trainer.
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
    launcher: str | None = None
    keep: str | None = None
    kind: str | None = None
    trainer_args: dict[str, Any] | None = None


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
    description, log = (folder / f"{job.name}.json").absolute(), folder / f"{job.name}.log"
    write_text(json.dumps(asdict(job), indent=2, ensure_ascii=False) + "\n", description)
    launched = job.launcher is not None
    with log.open("w", encoding="utf-8") as errors:
        # The child's stdin closes when this process ends, in whatever way; the child then exits too, see the worker.
        child = _started(job, description, errors)
        _running.add(child)
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            if launched:
                _greet(child.stdin)
            for line in child.stdout:
                if not _follow(line, progress) and launched:
                    # Of schedulers, also the errors of what they started.
                    errors.write(line)
                    errors.flush()
            code = child.wait()
        finally:
            _running.discard(child)
            if child.poll() is None:
                _end(child, patient=launched)
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
    if is_done(job) or (launched and code == 0 and _appears(job)):
        return None
    said = log.read_text("utf-8", errors="replace")
    return Failed(_reason(code, said), code == 2) if not launched else _failed_launcher(code, said)


def _started(job: Job, description: Path, errors: IO[str]) -> Child:
    server = running_server() if job.launcher is None else None
    if server is not None:
        return server.start(description, errors)
    command = [sys.executable, "-m", "nearfar.comparison.worker", str(description)]
    return subprocess.Popen(
        command if job.launcher is None else Launcher.of(job.launcher).command(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        env=environment_of_workers(),
    )


def end_all() -> None:
    """End the processes of the jobs that run in other threads, so that `run_job` returns there."""
    for child in list(_running):
        child.terminate()


def _greet(stdin: IO[str]) -> None:
    """Tell the worker that its stdin is the pipe of this process, as not every launcher passes it on."""
    with suppress(OSError):
        stdin.write("\n")
        stdin.flush()


def _end(child: Child, *, patient: bool) -> None:
    """End a process; a launcher first gets time to end what it has started."""
    if patient:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_PATIENCE)
    child.kill()
    child.wait()


def _appears(job: Job) -> bool:
    """Whether the result appears in time: a shared file system may show it late."""
    until = time.monotonic() + _PATIENCE
    while not is_done(job) and time.monotonic() < until:
        time.sleep(0.1)
    return is_done(job)


def _failed_launcher(code: int, log: str) -> Failed:
    if code == 0:
        reason = "the launcher returned before the run folder was complete: it must wait, such as sbatch --wait"
        return Failed(reason, False)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    ended = f"exit code {code}" if code > 0 else signal.Signals(-code).name
    ours = code == 2 and bool(lines) and lines[-1].startswith(_OURS)
    return Failed(_reason(code, log) if ours else f"the launcher ended with {ended}: {_reason(abs(code), log)}", ours)


def _follow(line: str, progress: Callable[[int, int, float | None], None] | None) -> bool:
    """Pass a step on. Returns False for a line that was printed by a library."""
    try:
        said = json.loads(line)
        step = said["step"], said["of"], said["loss"]
    except (ValueError, KeyError, TypeError):
        return False
    if progress is not None:
        progress(*step)
    return True


def _reason(code: int, log: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        memory = ": the system may have run out of memory" if name == "SIGKILL" else ""
        return f"ended by {name}{memory}"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if code in (1, 2):  # the worker's own last line, after which a library may print more at exit
        lines = [line for line in lines if line.startswith(_OURS)] or lines
    return lines[-1].removeprefix(_OURS)[:_SHOWN] if lines else f"exit code {code} without a message"
