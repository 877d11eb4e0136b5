"""Public benchmarks, run by the optional package mteb (2 or later)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def run_mteb(model: SentenceTransformer, tasks: Sequence[str], *, batch_size: int = 64) -> dict[str, float]:
    """The main score of each task, by name. mteb downloads the data of the tasks.

    The result cache of mteb is not used: it identifies models by name, but a local model's weights can change.

    Args:
        model: The encoder.
        tasks: Names of mteb tasks, such as `STSBenchmark`.
        batch_size: Batch size.

    Raises:
        InputError: mteb is missing or too old, or has no such task.
    """
    mteb = find_mteb()
    if isinstance(tasks, str) or not tasks:
        raise InputError("expected at least one task, got none", field="mteb", remedy="use e.g. STSBenchmark")
    chosen = []
    for name in tasks:
        try:
            chosen.append(mteb.get_task(name))
        except KeyError as error:
            raise InputError(
                f"mteb has no task {name!r}", field="mteb", remedy="list the names with mteb.get_tasks()"
            ) from error
    found = mteb.evaluate(model, chosen, cache=None, encode_kwargs={"batch_size": batch_size}, show_progress_bar=False)
    return {result.task_name: float(result.get_score()) for result in found.task_results}


def find_mteb() -> Any:
    """The module mteb.

    Raises:
        InputError: It is missing or too old.
    """
    try:
        mteb = importlib.import_module("mteb")
    except ModuleNotFoundError as error:
        if error.name != "mteb":
            raise
        raise InputError("benchmarks require the package mteb", remedy='pip install "nearfar[mteb]"') from error
    if not hasattr(mteb, "evaluate"):
        raise InputError("mteb is too old: it has no mteb.evaluate", remedy='pip install -U "nearfar[mteb]"')
    return mteb
