"""What the benchmarks found for each recipe. `verdicts.json` is written by `benchmarks/collect.py`, not by hand."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


def verdict(recipe: str) -> str | None:
    """One line on whether the paper's claim held here; None where it has not been put to the test."""
    return _verdicts().get(recipe)


@cache
def _verdicts() -> dict[str, str]:
    return json.loads(resources.files("nearfar.recipes").joinpath("verdicts.json").read_text("utf-8"))
