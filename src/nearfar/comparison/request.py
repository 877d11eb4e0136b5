"""The settings of a comparison in one object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.launching import Launcher
from nearfar.comparison.ranking import BASE
from nearfar.comparison.variant_names import check_names
from nearfar.errors import InputError
from nearfar.settings import FIELD

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval
    from nearfar.kinds.kind import Progress
    from nearfar.recipes import Recipe

__all__ = ["SEEDS", "Request", "chosen_recipes"]

SEEDS = 3


@dataclass(frozen=True)
class Request:
    """A comparison's settings: the arguments of `nearfar.compare`, with the recipes themselves in `recipes`."""

    recipes: Sequence[Recipe]
    data: str | Path | Dataset | Sequence[str | Path | Dataset]
    evaluate_on: str | Path | Dataset | Retrieval | None = None
    seeds: int = SEEDS
    budget: float | None = None
    model: str | Path | Sequence[str | Path] = "minilm"
    baseline: str | None = None
    out: str | Path = "runs/compare"
    resume: bool = False
    columns: Mapping[str, str] | Sequence[Mapping[str, str] | None] | None = None
    evaluation_columns: Mapping[str, str] | None = None
    weights: Sequence[float] | None = None
    variants: Mapping[str, str | Path | Dataset] = field(default_factory=dict)
    held_out: float = 0.2
    drop_leaks: bool = False
    skip_broken: bool = False
    keep: str | Path | Dataset | Retrieval | None = None
    trainer_args: str | Path | Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    validate_on: str | Path | Dataset | Retrieval | None = None
    launcher: str | None = None
    parallel: int = 1
    progress: Progress | None = None
    say: Callable[[str], object] = lambda _: None

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Further arguments of the Hugging Face trainer, of all runs."""
        from nearfar.training.trainer_args import read_trainer_args

        return read_trainer_args(self.trainer_args)

    @property
    def models(self) -> list[str | Path]:
        """All base models."""
        return [self.model] if isinstance(self.model, (str, Path)) else list(self.model)

    @property
    def searches(self) -> bool:
        """Whether there are several configurations of a recipe."""
        return bool(self.search) or len(self.models) > 1

    def check(self) -> None:
        """Check the settings before anything is read.

        Raises:
            InputError: A number is out of range, or two settings contradict each other.
        """
        if self.seeds < 1:
            problem = f"invalid number of seeds {self.seeds}: at least one is required"
            raise InputError(problem, field="--seeds", remedy="use 1 or more, e.g. 3")
        check_names(self.variants)
        self._check_launcher()
        self._check_search()
        if self.budget is None:
            return
        if not 0 < self.budget < float("inf"):
            problem = f"invalid budget {self.budget}: must be a positive number of minutes"
            raise InputError(problem, field="--budget", remedy="use e.g. 60")
        if {"epochs", "max_steps"} & {key.rpartition(".")[2] for key in (*self.settings, *self.search)}:
            problem = "epochs and max_steps cannot be combined with a budget"
            raise InputError(problem, field=FIELD, remedy="remove epochs and max_steps, or --budget")

    def check_arguments(self) -> None:
        """Check the arguments of the Hugging Face trainer, when `recipes` are those that will run.

        Raises:
            InputError: An argument is invalid, or a recipe has an option for it.
        """
        from nearfar.training.trainer_args import check_trainer_args

        for recipe in self.recipes:
            check_trainer_args(self.arguments, recipe.options(), self.trainer_args)

    def _check_launcher(self) -> None:
        if self.parallel < 1:
            problem = f"invalid number {self.parallel}: at least one training at a time is required"
            raise InputError(problem, field="--parallel", remedy="use 1 or more, e.g. 4")
        if self.launcher is None and self.parallel > 1:
            problem = "trainings at the same time on one machine would slow each other and blur their costs"
            raise InputError(problem, field="--parallel", remedy="remove it, or start trainings with --launcher")
        if self.launcher is None:
            return
        Launcher.of(self.launcher)
        if self.budget is not None:
            problem = "minutes cannot be shared where trainings may wait in a queue"
            raise InputError(problem, field="--budget", remedy="use epochs or max_steps, or remove --launcher")

    def _check_search(self) -> None:
        models = self.models
        if not models or len(set(map(str, models))) < len(models):
            problem = "a base model is listed twice" if models else "expected a base model, got none"
            raise InputError(problem, field="--model", remedy="list each once")
        if not self.searches and self.validate_on is not None:
            problem = "validation rows choose between configurations, and there is one of each recipe"
            raise InputError(problem, field="--validation", remedy="remove it, or add --search or a second --model")
        if self.searches and self.baseline is not None:
            problem = "a search tests against the best base model"
            raise InputError(problem, field="--baseline", remedy="remove it")
        if self.searches and {key.rpartition(".")[2] for key in self.search} & {"epochs", "max_steps"}:
            problem = "epochs and max_steps are the budget of a search and cannot be searched"
            raise InputError(problem, field="--search", remedy="set them with --set")

    def recorded(self) -> dict[str, Any]:
        """The settings that `compare.yaml` records."""
        from nearfar.training.joining import listed
        from nearfar.training.rows import source_of

        columns, mapped = self.columns, self.evaluation_columns
        of_each = [dict(each or {}) for each in columns or ()] if not isinstance(columns, Mapping) else []
        listed_columns = dict(columns) if isinstance(columns, Mapping) else of_each or None
        files = {each.name: each.file.read_bytes() for each in self.recipes if each.file is not None}
        hashes = {name: hashlib.sha256(code).hexdigest() for name, code in files.items()}
        return {
            "seeds": self.seeds,
            "budget": self.budget,
            "data": ", ".join(str(source_of(each)) for each in listed(self.data).values()),
            "columns": listed_columns,
            **({"weights": list(self.weights)} if self.weights is not None else {}),
            "evaluation": source_of(self.evaluate_on),
            "evaluation_columns": None if mapped is None else dict(mapped),
            **({} if self.keep is None else {"keep": source_of(self.keep)}),
            "held_out": self.held_out if self.evaluate_on is None else None,
            "options": {key: str(value) for key, value in self.settings.items()},
            **({"trainer_args": self.arguments} if self.arguments else {}),
            **({"recipe_files": hashes} if hashes else {}),
            **(
                {
                    "search": {key: [str(value) for value in values] for key, values in self.search.items()},
                    "validation": source_of(self.validate_on),
                }
                if self.searches
                else {}
            ),
        }

    def configuration(self, sha256: Sequence[str], variants: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Contents of `compare.yaml`; `sha256` are the hashes of the rows, and `variants` those of the variants."""
        from nearfar.kinds.loading import load_kind
        from nearfar.training.result import made_by
        from nearfar.training.rows import source_of

        models = [
            {"name": str(source_of(model)), "weights": load_kind(model).fingerprint(model)} for model in self.models
        ]
        others = {
            name: {"source": source_of(self.variants[name]), "sha256": sha256}
            for name, sha256 in (variants or {}).items()
        }
        return {
            "recipes": [recipe.name for recipe in self.recipes],
            **self.recorded(),
            "sha256": list(sha256),
            **({"variants": others} if others else {}),
            "model": models if self.searches else models[0],
            **made_by(),
        }


def chosen_recipes(named: str | Sequence[str] | None) -> list[Recipe]:
    """The recipes with these names and paths, each once; all recipes if None.

    Raises:
        InputError: A recipe does not exist, two have the same name, or one has the name of the base model.
    """
    from nearfar.recipes import get, names

    listed = [named] if isinstance(named, str) else named
    found = [get(str(name)) for name in dict.fromkeys(listed or names())]
    seen: dict[str, Recipe] = {}
    for recipe in found:
        if recipe.name == BASE:
            problem = f"the name {BASE!r} is reserved for the base model"
            raise InputError(problem, file=recipe.file, field="RECIPE", remedy="give your recipe another name")
        if recipe.name in seen:
            problem = f"two recipes have the name {recipe.name!r}"
            raise InputError(problem, file=recipe.file, field="RECIPE", remedy="give your recipe another name")
        seen[recipe.name] = recipe
    return found
