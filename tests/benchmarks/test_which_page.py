"""The table "which recipe on which data"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def ranked(name: str, mean: float, verdict: str) -> dict[str, Any]:
    against = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "verdict": verdict}
    return {
        "name": name,
        "score": 0.5 + mean,
        "by_seed": [0.5 + mean],
        "against_base": None if name == "base" else against,
    }


def test_a_column_for_each_kind_and_a_row_for_each_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from _which_page import which_table  # pyright: ignore[reportMissingImports]

    results = {
        "sentences": {
            "metric": "accuracy logistic",
            "seeds": 5,
            "ranking": [ranked("base", 0, "baseline"), ranked("simcse", -0.02, "worse")],
            "failures": ["dse, seed 0: no scores"],
        },
        "pairs": {
            "metric": "nDCG@10",
            "seeds": 3,
            "ranking": [
                ranked("infonce", 0.02, "better"),
                ranked("base", 0, "baseline"),
                ranked("codiemb", 0.005, "no significant difference"),
            ],
            "failures": [],
        },
    }
    lines = which_table(results).splitlines()
    assert lines[:6] == [
        "| | pairs: SciFact | sentences: Wikipedia, on STS-B |",
        "| --- | --- | --- |",
        "| base model | 0.500 nDCG@10 | 0.500 accuracy |",
        "| `codiemb` | +0.005 (-0.005 to +0.015) |  |",
        "| `infonce` | **+0.020 (+0.010 to +0.030)** |  |",
        "| `simcse` |  | **-0.020 (-0.030 to -0.010)** |",
    ]
    assert "3 or 5 seeds" in lines[7]
    assert "- sentences: Wikipedia, on STS-B: dse, seed 0: no scores" in lines
