"""Runs the arms of a claim over seeds, compares them in pairs, and writes one result file.

A claim is a paper's statement, tested against the paper's own baseline with the same data, backbone and budget, and at
least five seeds. An arm is a function that returns the score for a seed. Scores are saved after each run, so that an
interrupted claim can be resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

RESULTS = Path(__file__).parents[1] / "results"

Arm = Callable[[int], float]


@dataclass(frozen=True)
class Also:
    """An additional metric of the same arms, if one metric alone would be misleading.

    Args:
        metric, ours, baseline, arms: As for a claim.
    """

    metric: str
    ours: str
    baseline: str
    arms: Mapping[str, Arm]


@dataclass(frozen=True)
class Claim:
    """A statement to test.

    Args:
        recipe: The recipe's name; the result is `results/<recipe>.json`.
        claim: The statement, in one sentence.
        data, backbone, budget, metric: Descriptions of the test.
        ours: Name of the arm that is better according to the paper.
        baseline: Name of the arm that it is compared with.
        arms: The function of each arm; additional arms (the base model, controls) are reported, too.
        caveat: What readers must know.
        also: Additional metrics; only the first metric has a verdict.
    """

    recipe: str
    claim: str
    data: str
    backbone: str
    budget: str
    metric: str
    ours: str
    baseline: str
    arms: Mapping[str, Arm]
    caveat: str = ""
    also: tuple[Also, ...] = ()


def paired_interval(differences: list[float], level: float = 0.95) -> tuple[float, float, float]:
    """The mean of the differences over seeds, with Student's interval."""
    x = np.asarray(differences)
    half = stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean()), float(x.mean() - half), float(x.mean() + half)


def verdict(low: float, mean: float, high: float) -> str:
    """`reproduced` (the interval is above 0), `same direction` (it includes 0), or `not reproduced`."""
    if low > 0:
        return "reproduced"
    return "same direction" if mean > 0 and high > 0 else "not reproduced"


def run(claim: Claim) -> None:
    """Run all arms over all seeds and write the result."""
    parser = argparse.ArgumentParser(description=claim.claim)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    if seeds < 2:
        sys.exit("expected at least two seeds for an interval")

    path = RESULTS / f"{claim.recipe}.json"
    part = path.with_name(f".{claim.recipe}.part.json")
    figures: dict[str, dict[str, float]] = json.loads(part.read_text()) if part.exists() else {}
    for seed in range(seeds):
        for name, metric, arm in _arms(claim):
            if str(seed) not in figures.setdefault(_key(claim, name, metric), {}):
                figures[_key(claim, name, metric)][str(seed)] = float(arm(seed))
                _write(part, figures)
            print(f"seed {seed}  {metric} {figures[_key(claim, name, metric)][str(seed)]:.4f}  {name}", flush=True)

    mean, low, high = _compared(figures[claim.ours], figures[claim.baseline], seeds)
    result: dict[str, Any] = {
        "recipe": claim.recipe,
        "claim": claim.claim,
        "data": claim.data,
        "backbone": claim.backbone,
        "budget": claim.budget,
        "metric": claim.metric,
        "compared": [claim.ours, claim.baseline],
        "figures": {name: figures[name] for name in claim.arms},
        "difference": mean,
        "interval_95": [low, high],
        "verdict": verdict(low, mean, high),
        "caveat": claim.caveat,
        "command": f"python benchmarks/claims/{claim.recipe}.py --seeds {seeds}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("nearfar", "torch", "transformers", "sentence-transformers")},
        },
    }
    if claim.also:
        result["also"] = [_also(claim, also, figures, seeds) for also in claim.also]
    _write(path, result)
    part.unlink()
    print(f"{result['verdict']}: {claim.ours} minus {claim.baseline} {mean:+.4f} [{low:+.4f}, {high:+.4f}]")


def kept(recipe: str, name: str, compute: Callable[[], Any]) -> Any:
    """What has been computed under this name, in this run or in one before; in `results/.<recipe>.json`."""
    file = RESULTS / f".{recipe}.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    if name not in known:
        found = compute()
        # Another process may have added something in the meantime.
        known = json.loads(file.read_text()) if file.exists() else {}
        known[name] = found
        _write(file, known)
    return known[name]


def _arms(claim: Claim) -> list[tuple[str, str, Arm]]:
    also = [(name, also.metric, arm) for also in claim.also for name, arm in also.arms.items()]
    return [(name, claim.metric, arm) for name, arm in claim.arms.items()] + also


def _key(claim: Claim, name: str, metric: str) -> str:
    return name if metric == claim.metric else f"{name}: {metric}"


def _compared(ours: Mapping[str, float], baseline: Mapping[str, float], seeds: int) -> tuple[float, float, float]:
    return paired_interval([ours[str(seed)] - baseline[str(seed)] for seed in range(seeds)])


def _also(claim: Claim, also: Also, figures: Mapping[str, Mapping[str, float]], seeds: int) -> dict[str, Any]:
    found = {name: figures[_key(claim, name, also.metric)] for name in also.arms}
    mean, low, high = _compared(found[also.ours], found[also.baseline], seeds)
    return {
        "metric": also.metric,
        "compared": [also.ours, also.baseline],
        "figures": found,
        "difference": mean,
        "interval_95": [low, high],
    }


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(draft, path)
