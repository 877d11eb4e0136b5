"""The process of one job: `python -m nearfar.comparison.worker JOB.json`.

It writes its progress to stdout, one JSON object per line, and errors to stderr. Exit codes are those of the command
line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfar.comparison.jobs import Job
from nearfar.data.media import medium_in
from nearfar.errors import InputError
from nearfar.writing import folder_claimed, write_text

#: Seconds between two records of the time spent.
_NOTED = 2.0
#: Maximum number of seconds until the worker of a killed comparison has ended.
_LEAVES = 30.0
#: Number of texts whose encoding is timed, of texts in a batch; least number of measurements, and of seconds in total.
_TIMED, _TIMED_AT_ONCE, _TIMES, _SECONDS = 64, 32, 3, 0.5


class Clock:
    """Measures the time spent on a run, over all processes that worked on it, and reports its steps."""

    def __init__(self, file: Path) -> None:
        self.file, self.started, self.noted = file, time.monotonic(), 0.0
        self.before = float(file.read_text("utf-8")) if file.exists() else 0.0
        self.steps: list[tuple[int, float]] = []

    def __call__(self, step: int, of: int, loss: float | None) -> None:
        """Record a step, and report it to the parent process."""
        now = time.monotonic()
        self.steps.append((step, now))
        if now - self.noted > _NOTED:
            self.noted = now
            write_text(str(self.seconds), self.file)
        print(json.dumps({"step": step, "of": of, "loss": loss}), flush=True)

    @property
    def seconds(self) -> float:
        """Seconds of all processes together, including the lost time of interrupted ones."""
        return self.before + time.monotonic() - self.started

    @property
    def pace(self) -> float | None:
        """Seconds per step, without the first step; None if there was only one."""
        spent = steps = 0.0
        for (a, then), (b, now) in zip(self.steps, self.steps[1:], strict=False):
            if b > a:  # every stage begins again at 1
                spent, steps = spent + now - then, steps + b - a
        return spent / steps if steps else None


def main(description: str) -> int:
    """Do the job and return the exit code."""
    job = Job(**json.loads(Path(description).read_text("utf-8")))
    threading.Thread(target=_leave_with_parent, args=(job.launcher is not None,), daemon=True).start()
    try:
        do(job)
    except InputError as error:
        print(f"nearfar: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        traceback.print_exc()
        text = next(iter(str(error).splitlines()), "")
        print(f"nearfar: {type(error).__name__}: {text}", file=sys.stderr)
        return 1
    return 0


def do(job: Job) -> None:
    """Train if that has not been done yet, evaluate, and write the result."""
    import shutil

    from nearfar.comparison.general import measured
    from nearfar.evaluation import detect_task, evaluate
    from nearfar.evaluation.rows import load_for_evaluation
    from nearfar.evaluation.tasks.retrieval import ms_of_search
    from nearfar.kinds.loading import class_of, kind_named, load_kind, of
    from nearfar.models.abilities import Encodes

    found: dict[str, Any] = {"name": job.name, "recipe": job.recipe, "seed": job.seed}
    run = Path(job.run)
    if job.recipe is not None:
        found["cost"] = _trained(job, run)
    name = job.model if job.recipe is None else run / "model"
    model = load_kind(name) if job.kind is None else kind_named(job.kind).load(name)
    learn = None if job.learn is None else load_for_evaluation(job.learn)
    started = time.monotonic()
    held_out = load_for_evaluation(job.evaluation)
    # A reranker puts what the base model finds into its order.
    start = job.base or job.model
    finds = issubclass(class_of(start), Encodes)
    first = start if finds and detect_task(held_out, model) == "rerank" else None
    result = evaluate(model, held_out, train=learn, seed=0, first=first)  # pyright: ignore[reportArgumentType]
    items = result.per_item or {}
    kept = ("similarity", "score") if result.task == "sts" else (result.primary,)
    if any(name not in items for name in kept):
        raise InputError(
            f"the task {result.task!r} has no value per item, so models cannot be compared", field="--eval"
        )
    left_out = found.get("cost", {}).get("left_out", [])
    if result.task == "retrieval" and medium_in(getattr(held_out, "column_names", ())) is None:
        result = replace(result, ms_per_query={"search": ms_of_search(model, held_out)})
    if job.timed and isinstance(of(model), Encodes):
        found["ms_per_text"] = ms_per_text(model, held_out)
    found |= result.as_dict() | {"per_item": {name: items[name].tolist() for name in kept}}
    if job.keep is not None:
        found["general"] = measured(model, job.keep)
    found["notes"] = [*found["notes"], *(f"{job.name.rpartition('-')[0]}: {note}." for note in left_out)]
    found["seconds"] = time.monotonic() - started
    Path(job.result).parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n", job.result)
    # Checkpoints are several times the size of the model and are no longer needed.
    shutil.rmtree(run / "checkpoints", ignore_errors=True)


def ms_per_text(model: Any, rows: Any) -> float | None:
    """Milliseconds to encode a text, the least of several measurements; None if the rows have no texts."""
    from nearfar.data.items import texts_of
    from nearfar.data.retrieval import Retrieval
    from nearfar.kinds.loading import of
    from nearfar.models.abilities import Encodes

    if isinstance(rows, Retrieval):
        texts = list(rows.queries.values())
    elif medium_in(rows.column_names) is not None:
        return None
    else:
        first = rows.select(range(min(len(rows), _TIMED)))
        texts = [text for item in texts_of(first, negatives=False) for text in item]
    texts, encoder = texts[:_TIMED], of(model)
    assert isinstance(encoder, Encodes)
    encoder.encode(texts, batch_size=_TIMED_AT_ONCE)  # the first call is slower
    times: list[float] = []
    while len(times) < _TIMES or sum(times) < _SECONDS:
        started = time.perf_counter()
        encoder.encode(texts, batch_size=_TIMED_AT_ONCE)
        times.append(time.perf_counter() - started)
    return 1000 * min(times) / len(texts)


def _trained(job: Job, run: Path) -> dict[str, Any]:
    """Train, or resume, unless the run is finished; returns its cost."""
    file = run.with_name(f"{run.name}.cost.json")
    if file.exists() and (run / "metrics.json").exists():
        return json.loads(file.read_text("utf-8"))
    import sentence_transformers  # noqa: F401  # what every process has to load is no recipe's cost

    from nearfar.kinds.drawn import unequal_note
    from nearfar.kinds.loading import of
    from nearfar.recipes import get
    from nearfar.training.request import Request
    from nearfar.training.run import run as run_training

    assert job.recipe is not None
    run.parent.mkdir(parents=True, exist_ok=True)
    with folder_claimed(run, wait=_LEAVES):
        pass  # the worker of a comparison that was just killed has ended
    seconds = run.with_name(f"{run.name}.seconds")
    resume = (run / "run.yaml").exists()
    clock = Clock(seconds)
    finished = run_training(
        Request(
            get(job.recipe),
            job.training,
            model=job.model,
            out=run,
            seed=job.seed,
            resume=resume,
            trainer_args=job.trainer_args,
            settings=job.settings,
            progress=clock,
            trial=job.trial,
            rows_in_step=job.rows_in_step,
        )
    )
    drawn = finished.metrics["drawn"]
    adapter = finished.metrics.get("adapter")
    module: Any = of(finished.model).module
    cost = {
        "steps": finished.metrics["steps"],
        "rows": sum(each["rows_in_all"] for each in drawn),
        "left_out": [note for note in map(unequal_note, drawn) if note],
        "seconds": clock.seconds,
        "seconds_a_step": clock.pace,
        "trained": adapter["trained"] if adapter else sum(each.numel() for each in module.parameters()),
        "resumed": resume,
        **_memory(),
    }
    write_text(json.dumps(cost) + "\n", file)
    seconds.unlink(missing_ok=True)
    return cost


def _memory() -> dict[str, int | None]:
    """Peak memory of this process, and of tensors on a GPU, in bytes."""
    import torch

    held = None
    try:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        held = most if sys.platform == "darwin" else most * 1024
    except ImportError:  # this system does not report it
        pass
    return {"memory": held, "gpu_memory": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None}


def _leave_with_parent(launched: bool) -> None:
    """Exit with the parent process: otherwise a resumed comparison could run beside this run.

    A launcher may give this process another stdin, on which the parent's first line does not come.
    """
    if launched and not os.read(0, 1):
        return
    while os.read(0, 1):  # not sys.stdin: Python needs its lock at exit
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
