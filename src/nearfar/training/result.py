"""The result of a run, and its records in `metrics.json` and `run.yaml`."""

from __future__ import annotations

import math
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.evaluation import Interval, Result
    from nearfar.evaluation.similarity import PairSimilarity
    from nearfar.training.forgetting import Forgetting

__all__ = ["WRITTEN", "Run", "made_by", "metrics_of", "stage_metrics"]

#: Metrics of what a model writes about audio files, which are kept by task.
WRITTEN = ("wer", "slu_f1")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        folder: Folder of the run; `nearfar.load(folder / "model")` loads the model.
        model: The trained model, as `nearfar.load` returns it.
        before: Evaluation of the base model; None without evaluation data.
        after: Evaluation of the trained model; None without evaluation data.
        change: After minus before in the primary metric, with its interval.
        log: The trainer's log: dictionaries with `step` and `loss`, or `step` and `eval_...`.
        similarities: Cosines of held-out pairs before and after training, if the evaluation data is pairs.
        metrics: Contents of `metrics.json`.
        peak_memory: The most memory in bytes until the end of the training: that of the GPU, or else of the process;
            None where the system does not tell. It is not in `metrics.json`, as it is not the same each time.
        forgetting: The change on the general set, if there is one.
    """

    folder: Path
    model: Any
    before: Result | None
    after: Result | None
    change: Interval | None
    log: list[dict[str, float]]
    similarities: tuple[PairSimilarity, PairSimilarity] | None
    metrics: dict[str, Any]
    peak_memory: int | None = None
    forgetting: Forgetting | None = None


def metrics_of(
    name: str,
    steps: int,
    log: Sequence[Mapping[str, float]],
    before: Result | None,
    after: Result | None,
    change: Interval | None,
) -> dict[str, Any]:
    """The contents of `metrics.json` that all runs have."""
    losses = [entry["loss"] for entry in log if "loss" in entry]
    metrics: dict[str, Any] = {"recipe": name, "steps": steps, "last_loss": losses[-1] if losses else None}
    if before is not None and after is not None:
        # Without times: the same seed must give the same file.
        metrics["before"], metrics["after"] = (
            {key: value for key, value in result.as_dict().items() if key not in ("seconds", "ms_per_query")}
            for result in (before, after)
        )
        metrics["difference"] = {
            "metric": before.primary,
            "value": _finite(after.score - before.score),
            "low": None if change is None else change.low,
            "high": None if change is None else change.high,
        }
    return metrics


def stage_metrics(
    stages: Sequence[tuple[str, int, Result | None]], before: Result | None, rows: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Steps and scores after each stage of a run with several stages, for `metrics.json`.

    If the held-out data has several tasks, also the average score after the last stage, and the forgetting: the mean
    over all tasks except the last of the best score after an earlier stage minus the score after the last stage.

    Args:
        stages: Name, number of steps and result of each stage.
        before: The result of the base model.
        rows: Number of held-out rows of each task, if each stage trains on the task of its place: then also the score
            on all tasks seen so far after each stage (each task counts by its rows), its mean over the stages, and the
            last one; and the same of word error rates and SLU-F1, if there are any.

    Source: Chaudhry et al. 2018, Riemannian Walk for Incremental Learning, section 3; Rebuffi et al. 2017, iCaRL, for
    the mean over the stages.
    """
    listed = [
        {"name": name, "steps": steps, "metrics": None if found is None else _scores(found)}
        for name, steps, found in stages
    ]
    metrics: dict[str, Any] = {"stages": listed}
    results = [found for _, _, found in stages if found is not None]
    if before is None or not before.primary.startswith("mean ") or len(results) < 2:
        return metrics
    metric = before.primary.removeprefix("mean ")
    tasks = [name for name in before.metrics if name.startswith(f"{metric} of ")]
    last = results[-1]
    forgotten = [max(each.metrics[name] for each in results[:-1]) - last.metrics[name] for name in tasks[:-1]]
    forgetting = sum(forgotten) / len(forgotten) if forgotten else 0.0
    stream: dict[str, Any] = {"average": last.score, "forgetting": forgetting}
    if rows is not None and len(results) == len(rows):
        seen = _seen(results, metric, rows)
        stream |= {"seen": seen, "average_seen": sum(seen) / len(seen), "last_seen": seen[-1]}
        for written in WRITTEN:
            if f"{written} of {next(iter(rows))}" in before.metrics:
                found = _seen(results, written, rows)
                stream |= {f"average_{written}": sum(found) / len(found), f"last_{written}": found[-1]}
    return {**metrics, "stream": stream}


def _seen(results: Sequence[Result], metric: str, rows: Mapping[str, int]) -> list[float]:
    """The mean of a metric over the rows of the first task, of the first two, ..., after as many stages."""
    found = []
    for number, result in enumerate(results, 1):
        tasks = list(rows)[:number]
        total = sum(result.metrics[f"{metric} of {task}"] * rows[task] for task in tasks)
        found.append(total / sum(rows[task] for task in tasks))
    return found


def made_by() -> dict[str, Any]:
    """The command and the versions, for `run.yaml`."""
    names = ("nearfar", "torch", "transformers", "sentence-transformers", "datasets")
    return {
        "command": shlex.join(sys.argv),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
    }


def _scores(result: Result) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in result.metrics.items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
