"""The table of docs/promises.md, from the result of the test of faults. `benchmarks/collect.py` writes it."""

from __future__ import annotations

from typing import Any


def faults_table(result: dict[str, Any]) -> str:
    """Survived of tried, by command and fault, and how the figures were taken."""
    faults = list(dict.fromkeys(fault for of in result["by_command"].values() for fault in of))
    lines = [f"| command | {' | '.join(faults)} |", f"| --- |{' --- |' * len(faults)}"]
    for name, of in sorted(result["by_command"].items()):
        cells = [f"{of[fault]['survived']} of {of[fault]['tried']}" if fault in of else "" for fault in faults]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    failed = [
        f"- `{each['command']}`, {each['fault']}, {each['how']}: {each['problem']}" for each in result["failures"]
    ]
    total = f"{result['survived']:,} of {result['tried']:,} survived."
    runs = "\n".join(_run(run) for run in result["runs"])
    parts = [total, "\n".join(lines), *(["\n".join(failed)] if failed else []), f"The runs:\n\n{runs}"]
    return "\n\n".join([*parts, "All figures: `benchmarks/results/faults.json`"])


def _run(run: dict[str, Any]) -> str:
    """One run: when, for how long, its command, and what was not tried."""
    skipped = f" Not tried: {', '.join(run['skipped'])}." if run["skipped"] else ""
    return (
        f"- {run['date']}, {run['minutes']:.0f} minutes with seed {run['seed']}: `{run['command']}`. The disk that is "
        f"full is {run['full_disk']}.{skipped}"
    )
