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
    skipped = [f"Not tried: {', '.join(result['skipped'])}."] if result["skipped"] else []
    failed = [
        f"- `{each['command']}`, {each['fault']}, {each['how']}: {each['problem']}" for each in result["failures"]
    ]
    said = (
        f"{result['survived']:,} of {result['tried']:,} survived, in {result['minutes']:.0f} minutes with seed "
        f"{result['seed']}. The disk that is full is {result['full_disk']}."
    )
    parts = [" ".join([said, *skipped]), "\n".join(lines), *(["\n".join(failed)] if failed else [])]
    return "\n\n".join([*parts, f"`{result['command']}`; all figures: `benchmarks/results/faults.json`"])
