"""The folder of a comparison, and what makes it safe to kill.

compare.yaml    what was asked for
data/           the rows, as every run reads them
budget.json     steps of each recipe, once they are settled
runs/           one run folder a recipe and seed
results/        what each was measured at; a run counts once its file is here
logs/           what each process was asked to do, and what it said
metrics.json    ranking, costs, recommendation
report.html     the same to look at
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nearfar.errors import InputError
from nearfar.training.folder import check_free, read_configuration
from nearfar.writing import LOCK, write_text

#: What must be equal for finished runs to be of use.
_DECIDING = (
    "data",
    "columns",
    "evaluation",
    "evaluation_columns",
    "model",
    "options",
    "budget",
    "held_out",
    "sha256",
    "recipe_files",
)
#: With a budget in minutes also these: each run's share depends on how many there are.
_SHARING = ("recipes", "seeds")


@dataclass(frozen=True)
class ComparisonFolder:
    """Paths in it, and whether it is free."""

    path: Path

    @property
    def data(self) -> Path:
        """The rows."""
        return self.path / "data"

    @property
    def configuration(self) -> Path:
        """What was asked for."""
        return self.path / "compare.yaml"

    @property
    def budget(self) -> Path:
        """Steps of each recipe."""
        return self.path / "budget.json"

    @property
    def logs(self) -> Path:
        """Of the processes."""
        return self.path / "logs"

    @property
    def metrics(self) -> Path:
        """The figures; there once the comparison is finished."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"

    def run(self, name: str) -> Path:
        """A run's folder."""
        return self.path / "runs" / name

    def result(self, name: str) -> Path:
        """What it was measured at."""
        return self.path / "results" / f"{name}.json"

    def check_free(self, resume: bool) -> None:
        """Find out at once that the folder holds something else.

        Raises:
            InputError: it does; or there is nothing to go on with.
        """
        check_free(self.configuration, "comparison", resume)

    def claim(self, configuration: Mapping[str, Any]) -> None:
        """Write down what was asked for; in a folder to go on with, check that it is the same.

        Seeds and recipes may be added: what is finished is kept.

        Raises:
            InputError: what is there was asked for otherwise, or is damaged.
        """
        if self.configuration.exists():
            there = read_configuration(self.configuration)
            keys = _DECIDING + (_SHARING if configuration["budget"] is not None else ())
            for key in keys:
                if there.get(key) != configuration.get(key):
                    raise InputError(
                        f"the comparison there has {there.get(key)!r}, this call {configuration.get(key)!r}",
                        file=self.configuration,
                        field=key,
                        remedy="resume with the same arguments and data, or start in another folder",
                    )
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True), self.configuration)

    def clear(self) -> None:
        """Remove everything but the lock of this process."""
        for path in self.path.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def read_budget(self) -> dict[str, Any]:
        """What `write_budget` wrote; empty where nothing was settled yet."""
        return json.loads(self.budget.read_text("utf-8")) if self.budget.exists() else {}

    def write_budget(self, found: Mapping[str, Any]) -> None:
        """Settle it: a run that goes on must not measure anew."""
        write_text(json.dumps(found, indent=2) + "\n", self.budget)

    def write_metrics(self, found: Mapping[str, Any]) -> None:
        """Write the figures, whole or not at all."""
        write_text(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n", self.metrics)
