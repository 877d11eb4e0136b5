"""The folder of a comparison, written so that an interrupted comparison can be resumed.

compare.yaml    the settings
data/           the rows that every run reads
budget.json     number of steps of each recipe
choosing/       in a search, the rows with validation rows for evaluation
rungs/1/ ...    in a search, budget, runs, results and logs of each rung
runs/           one run folder per recipe and seed
results/        evaluation results; a run is finished when its file is here
logs/           the description and the output of each process
metrics.json    ranking, costs, recommendation
report.html     the report
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nearfar.comparison.ranking import BASE
from nearfar.errors import InputError
from nearfar.training.folder import WITHOUT_EFFECT, check_free, differences, read_configuration
from nearfar.writing import LOCK, write_text

#: Settings that must be equal to reuse finished runs.
_DECIDING = (
    "data",
    "columns",
    "evaluation",
    "evaluation_columns",
    "model",
    "options",
    "trainer_args",
    "budget",
    "held_out",
    "sha256",
    "recipe_files",
    "search",
    "validation",
)
#: Folders in which a killed comparison may leave partial files; that of a run is claimed by its own process.
WRITTEN = ("data", "choosing", "logs", "results", "rungs/*", "rungs/*/logs", "rungs/*/results")
#: With a budget in minutes, or in a search, also these, because the runs depend on all others.
_SHARING = ("recipes", "seeds", "variants")


@dataclass(frozen=True)
class ComparisonFolder:
    """Paths in the folder, and reading and writing of its files."""

    path: Path
    rows: Path | None = None

    @property
    def data(self) -> Path:
        """The rows; those of a rung are beside it."""
        return self.rows or self.path / "data"

    @property
    def choosing(self) -> Path:
        """The training rows and validation rows of a search."""
        return self.path / "choosing"

    def rung(self, number: int) -> ComparisonFolder:
        """The folder of a rung of a search, from 1."""
        return ComparisonFolder(self.path / "rungs" / str(number), self.choosing)

    @property
    def configuration(self) -> Path:
        """The settings."""
        return self.path / "compare.yaml"

    @property
    def budget(self) -> Path:
        """The number of steps of each recipe."""
        return self.path / "budget.json"

    @property
    def logs(self) -> Path:
        """Logs of the processes."""
        return self.path / "logs"

    @property
    def metrics(self) -> Path:
        """The results; the file exists when the comparison is finished."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    def run(self, name: str) -> Path:
        """A run's folder."""
        return self.path / "runs" / name

    def result(self, name: str) -> Path:
        """The evaluation result of a run."""
        return self.path / "results" / f"{name}.json"

    def check_free(self, resume: bool) -> None:
        """Check early that the folder can be used.

        Raises:
            InputError: The folder contains something else, or there is nothing to resume.
        """
        check_free(self.configuration, "comparison", resume)

    def claim(self, configuration: Mapping[str, Any]) -> None:
        """Write the settings; in a folder to resume, first check that they are the same.

        Seeds, recipes and variants may be added: finished runs are kept.

        Raises:
            InputError: The settings in the folder are different, or the file is corrupted.
        """
        if self.configuration.exists():
            there = read_configuration(self.configuration)
            keys = _DECIDING + (_SHARING if configuration["budget"] is not None or "search" in configuration else ())
            for key in keys:
                self._check_same(key, there.get(key), configuration.get(key))
            known, now = there.get("variants", {}), configuration.get("variants", {})
            for name in known.keys() & now.keys():
                self._check_same(f"variants: {name}", known[name], now[name])
            if self.result("untrained").exists():  # the base model's name in version 0.1.0
                self.result("untrained").replace(self.result(BASE))
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True), self.configuration)

    def _check_same(self, key: str, there: object, now: object) -> None:
        found = [(key, there, now)] if there != now else []
        if key == "options":
            found = [each for each in differences(key, there, now) if each[0].rpartition(".")[2] not in WITHOUT_EFFECT]
        for field, was, asked in found:
            expected, got = ("the default" if value is None else repr(value) for value in (was, asked))
            raise InputError(
                f"expected {expected}, as in the comparison to resume, got {got}",
                file=self.configuration,
                field=field,
                remedy="resume with the same arguments and data, or choose another folder",
            )

    def clear(self) -> None:
        """Remove everything but the lock of this process."""
        for path in self.path.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def read_budget(self) -> dict[str, Any]:
        """The contents of `write_budget`'s file; empty if it does not exist yet."""
        return json.loads(self.budget.read_text("utf-8")) if self.budget.exists() else {}

    def write_budget(self, found: Mapping[str, Any]) -> None:
        """Save the budget, so that a resumed comparison does not measure it again."""
        write_text(json.dumps(found, indent=2) + "\n", self.budget)

    def write_metrics(self, found: Mapping[str, Any]) -> None:
        """Write the results, completely or not at all."""
        write_text(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n", self.metrics)
