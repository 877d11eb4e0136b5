"""Runs the arms of a claim over seeds, compares them in pairs, and writes one result file.

A claim is a paper's statement, tested against the paper's own baseline with the same data, backbone and budget, and at
least five seeds. An arm is a function that returns the score for a seed. Scores are saved after each run, so that an
interrupted claim can be resumed.

With `--jobs N`, so many processes share the seeds and arms. With `--until SECONDS`, no arm begins later than so many
seconds after the start, and with `--metric PART`, only the metrics whose name contains that are computed; the figures
are kept for the next run, which computes the others and writes the result.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from scipy import stats

RESULTS = Path(__file__).parents[1] / "results"

Arm = Callable[[int], float]

#: Where a file of figures keeps how long each took.
_MINUTES = "minutes"


@dataclass(frozen=True)
class Also:
    """An additional metric of the same arms, if one metric alone would be misleading.

    Args:
        metric, ours, baseline, arms: As for a claim.
        seeds: The seeds that were run, if they are fewer than the claim's, or their number; the result says so.
    """

    metric: str
    ours: str
    baseline: str
    arms: Mapping[str, Arm]
    seeds: int | tuple[int, ...] | None = None

    def which(self, seeds: int) -> tuple[int, ...]:
        """Its seeds, of a claim with so many."""
        if isinstance(self.seeds, tuple):
            return self.seeds
        return tuple(range(min(seeds, self.seeds or seeds)))


@dataclass(frozen=True)
class Claim:
    """A statement to test.

    Args:
        recipe: The recipe's name.
        claim: The statement, in one sentence.
        data, backbone, budget, metric: Descriptions of the test.
        ours: Name of the arm that is better according to the paper.
        baseline: Name of the arm that it is compared with.
        arms: The function of each arm; additional arms (the base model, controls) are reported, too.
        caveat: What readers must know.
        also: Additional metrics; only the first metric has a verdict.
        name: The name of the script and of its result, `results/<name>.json`; by default the recipe's.
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
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.recipe)


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
    parser.add_argument("--jobs", type=int, default=1, help="processes that share seeds and arms")
    parser.add_argument("--until", type=float, default=float("inf"), help="seconds after which no arm begins")
    parser.add_argument("--metric", default="", help="part of the name of the metrics to compute")
    options, _ = parser.parse_known_args()
    seeds = options.seeds
    if seeds < 2:
        sys.exit("expected at least two seeds for an interval")

    work = _Work(claim, time.monotonic() + options.until, options.metric)
    if options.jobs > 1:
        work.shared(seeds, options.jobs)
    for seed in range(seeds):
        for name in work.names:
            work.done(seed, name)
    if missing := work.missing(seeds):
        sys.exit(f"{claim.name}: {missing} figures are missing now; run it again to go on")
    figures, path = work.figures(), RESULTS / f"{claim.name}.json"
    mean, low, high = _compared(figures[claim.ours], figures[claim.baseline], range(seeds))
    result: dict[str, Any] = {
        "recipe": claim.recipe,
        **({} if claim.name == claim.recipe else {"name": claim.name}),
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
        "command": f"{_parts()}python benchmarks/claims/{claim.name}.py --seeds {seeds}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("nearfar", "torch", "transformers", "sentence-transformers")},
        },
    }
    if (minutes := work.minutes()) is not None:
        result["minutes"] = minutes
    if claim.also:
        result["also"] = [_also(claim, also, figures, seeds) for also in claim.also]
    _write(path, result)
    work.part.unlink()
    print(f"{result['verdict']}: {claim.ours} minus {claim.baseline} {mean:+.4f} [{low:+.4f}, {high:+.4f}]")


def kept(claim: str, name: str, compute: Callable[[], Any]) -> Any:
    """What has been computed under this name, in this run or in one before; in `results/.<claim>.json`."""
    file = RESULTS / f".{claim}.json"
    if name not in _known(file):
        # Two processes may need the same figure, such as one of validation: the second one waits.
        with FileLock(_locked(file, name)):
            if name not in _known(file):
                start = time.monotonic()
                _add(file, name, compute())
                _add(file, _MINUTES, {name: (time.monotonic() - start) / 60})
    return _known(file)[name]


class _Work:
    """The figures of a claim, some of which may be known.

    Args:
        claim: The claim.
        end: Time of the monotonic clock after which no arm begins.
        part: What the names of the metrics to compute contain.
    """

    def __init__(self, claim: Claim, end: float, part: str) -> None:
        self.claim, self.end = claim, end
        self.part = RESULTS / f".{claim.name}.part.json"
        self.arms = [each for each in _arms(claim) if part in each.metric]
        self.names = list(dict.fromkeys(each.name for each in self.arms))

    def shared(self, seeds: int, jobs: int) -> None:
        """Let processes share what is missing; each takes the next arm of a seed when it is free."""
        # Arms cannot be pickled, so the processes inherit them. No thread or device is in use yet.
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(jobs, fork, _inherit, (self,)) as pool:
            waiting = [pool.submit(_done, seed, name) for seed in range(seeds) for name in self.names]
        for each in waiting:
            each.result()  # raises what an arm has raised, now that the others are done

    def missing(self, seeds: int) -> int:
        known = self.figures()
        wanted = [
            (_key(self.claim, each.name, each.metric), str(seed))
            for each in _arms(self.claim)
            for seed in each.which(seeds)
        ]
        return sum(seed not in known.get(key, {}) for key, seed in wanted)

    def done(self, seed: int, name: str) -> None:
        """Compute the metrics of an arm and a seed, unless they are known or it is too late."""
        for each in self.arms:
            key = _key(self.claim, each.name, each.metric)
            if each.name != name or seed not in each.which(seed + 1) or str(seed) in self.figures().get(key, {}):
                continue
            if time.monotonic() > self.end:
                return
            start = time.monotonic()
            _add(self.part, key, {str(seed): float(each.arm(seed))})
            _add(self.part, _MINUTES, {f"{key}, seed {seed}": (time.monotonic() - start) / 60})
            print(f"seed {seed}  {each.metric} {self.figures()[key][str(seed)]:.4f}  {name}", flush=True)

    def figures(self) -> dict[str, dict[str, float]]:
        return _known(self.part)

    def minutes(self) -> float | None:
        """Minutes that all arms took, added up over processes and interruptions; None if that is not known."""
        figures = _known(RESULTS / f".{self.claim.name}.json")
        of_figures = figures.pop(_MINUTES, {})
        if figures.keys() - of_figures.keys():
            return None  # computed before times were kept
        # An arm whose figures were known took no time, and one that computed them took as long as they did.
        return round(max(sum(self.figures().get(_MINUTES, {}).values()), sum(of_figures.values())), 1)


_inherited: list[_Work] = []


def _inherit(work: _Work) -> None:
    _inherited[:] = [work]


def _done(seed: int, name: str) -> None:
    _inherited[0].done(seed, name)


def _known(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}


def _add(file: Path, name: str, value: Any) -> None:
    """Add a value to a file; a dictionary is merged with the one of the same name."""
    with FileLock(_locked(file, "")):
        known = _known(file)
        known[name] = {**known.get(name, {}), **value} if isinstance(value, dict) else value
        _write(file, known)


def _locked(file: Path, name: str) -> Path:
    """The lock of a file, or of one name in it, among the temporary files of the machine."""
    whole = f"{file.resolve()} {name}"
    return Path(tempfile.gettempdir(), f"nearfar-claim-{hashlib.sha256(whole.encode()).hexdigest()[:16]}.lock")


def _parts() -> str:
    """The environment variables that choose parts of a claim, such as RERANK_PARTS, as they precede a command."""
    return "".join(f"{name}={value} " for name, value in sorted(os.environ.items()) if name.endswith("_PARTS"))


class _Measured(NamedTuple):
    """An arm, by one metric."""

    name: str
    metric: str
    arm: Arm
    which: Callable[[int], tuple[int, ...]]


def _arms(claim: Claim) -> list[_Measured]:
    own = [_Measured(name, claim.metric, arm, lambda seeds: tuple(range(seeds))) for name, arm in claim.arms.items()]
    return own + [
        _Measured(name, also.metric, arm, also.which) for also in claim.also for name, arm in also.arms.items()
    ]


def _key(claim: Claim, name: str, metric: str) -> str:
    return name if metric == claim.metric else f"{name}: {metric}"


def _compared(
    ours: Mapping[str, float], baseline: Mapping[str, float], seeds: Iterable[int]
) -> tuple[float, float, float]:
    return paired_interval([ours[str(seed)] - baseline[str(seed)] for seed in seeds])


def _also(claim: Claim, also: Also, figures: Mapping[str, Mapping[str, float]], seeds: int) -> dict[str, Any]:
    which = also.which(seeds)
    keys = {name: _key(claim, name, also.metric) for name in also.arms}
    found = {name: {str(seed): figures[key][str(seed)] for seed in which} for name, key in keys.items()}
    mean, low, high = _compared(found[also.ours], found[also.baseline], which)
    return {
        "metric": also.metric,
        "seeds": len(which),
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
