"""The table "which recipe on which data", from the results of `which.py`, which prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BASE = "base"
#: Each kind of rows, and what it was evaluated on.
KINDS = {
    "pairs": "pairs: SciFact",
    "labelled": "labelled texts: Banking77",
    "sentences": "sentences: Wikipedia, on STS-B",
    "scored": "scored pairs: STS-B",
    "dialogues": "dialogues: SGD, on Dialog2Flow",
}
METRICS = {"accuracy logistic": "accuracy"}


def which_table(results: Mapping[str, dict[str, Any]]) -> str:
    """By recipe and kind of rows: the gain over the base model with its interval, in bold if it is significant."""
    kinds = [kind for kind in KINDS if kind in results]
    ranked = {kind: {each["name"]: each for each in results[kind]["ranking"]} for kind in kinds}
    names = sorted({name for of in ranked.values() for name in of} - {BASE})
    lines = [
        f"| | {' | '.join(KINDS[kind] for kind in kinds)} |",
        f"| --- |{' --- |' * len(kinds)}",
        f"| base model | {' | '.join(_base(results[kind], ranked[kind][BASE]) for kind in kinds)} |",
        *(f"| `{name}` | {' | '.join(_gain(ranked[kind].get(name)) for kind in kinds)} |" for name in names),
    ]
    failed = [f"- {KINDS[kind]}: {failure}" for kind in kinds for failure in results[kind]["failures"]]
    seeds = sorted({results[kind]["seeds"] for kind in kinds})
    counts = " or ".join(map(str, seeds)) + (" seeds" if seeds != [1] else " seed")
    what = (
        f"Gain over the base model, MiniLM, with its 95% interval over {counts} and evaluation rows; bold: "
        "significant after Holm's correction. An empty cell: the recipe does not read such rows. Accuracy is that of a "
        "linear classifier of the vectors."
    )
    parts = ["\n".join(lines), what, *(["Without a result:", "\n".join(failed)] if failed else [])]
    return "\n\n".join(
        [*parts, "`python benchmarks/which.py --work FOLDER`; all figures: `benchmarks/results/which.json`"]
    )


def _base(result: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    return f"{base['score']:.3f} {METRICS.get(result['metric'], result['metric'])}"


def _gain(ranked: Mapping[str, Any] | None) -> str:
    if ranked is None:
        return ""
    found = ranked["against_base"]
    gain = f"{found['mean']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"
    return gain if found["verdict"] == "no significant difference" else f"**{gain}**"
