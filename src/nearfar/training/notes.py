"""What `nearfar train` says in the end about how a model was trained: how much of it, and which checkpoint it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nearfar.evaluation.result import metric_name

__all__ = ["run_notes"]


def run_notes(metrics: Mapping[str, Any], peak_memory: int | None) -> Iterator[str]:
    """One line for each of them.

    Args:
        metrics: Contents of `metrics.json`.
        peak_memory: In bytes; None if unknown.
    """
    followed = metrics.get("validation", {})
    for stage in followed.get("stages", ()):
        where = f" of {stage['stage']}" if len(followed["stages"]) > 1 else ""
        if stage["value"] is not None:
            yield (
                f"Best on {followed['rows']:,} validation rows{where}: step {stage['step']:,} "
                f"({metric_name(followed['metric'])} {stage['value']:.3f})"
                f"{'; training stopped early' if stage['stopped_early'] else ''}."
            )
    if "adapter" in metrics:
        adapter = metrics["adapter"]
        line = f"{adapter['trained']:,} of {adapter['parameters']:,} parameters ({adapter['share']:.2%}) were trained"
        yield f"{line}." if peak_memory is None else f"{line}; peak memory {peak_memory / 2**20:,.0f} MiB."
