"""The settings of a comparison in one object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.ranking import BASE
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
    model: str | Path = "minilm"
    baseline: str | None = None
    out: str | Path = "runs/compare"
    resume: bool = False
    columns: Mapping[str, str] | Sequence[Mapping[str, str] | None] | None = None
    evaluation_columns: Mapping[str, str] | None = None
    weights: Sequence[float] | None = None
    held_out: float = 0.2
    drop_leaks: bool = False
    skip_broken: bool = False
    keep: str | Path | Dataset | Retrieval | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    say: Callable[[str], object] = lambda _: None

    @property
    def start(self) -> str:
        """The base model's name, as an absolute path if it is a folder."""
        return str(Path(self.model).absolute()) if Path(self.model).exists() else str(self.model)

    def check(self) -> None:
        """Check the settings before anything is read.

        Raises:
            InputError: A number is out of range, or two settings contradict each other.
        """
        if self.seeds < 1:
            problem = f"invalid number of seeds {self.seeds}: at least one is required"
            raise InputError(problem, field="--seeds", remedy="use 1 or more, e.g. 3")
        if self.budget is None:
            return
        if not 0 < self.budget < float("inf"):
            problem = f"invalid budget {self.budget}: must be a positive number of minutes"
            raise InputError(problem, field="--budget", remedy="use e.g. 60")
        if {"epochs", "max_steps"} & {key.rpartition(".")[2] for key in self.settings}:
            problem = "epochs and max_steps cannot be combined with a budget"
            raise InputError(problem, field=FIELD, remedy="remove epochs and max_steps, or --budget")

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
            **({"recipe_files": hashes} if hashes else {}),
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
