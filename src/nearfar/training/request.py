"""The settings of one run in one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions, with_settings
from nearfar.training.trainer_args import check_trainer_args, read_trainer_args

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from nearfar.kinds.kind import Progress
    from nearfar.recipes import Recipe

__all__ = ["Request"]

Columns = Mapping[str, str]


@dataclass(frozen=True)
class Request:
    """A run's settings. The fields are the arguments of `nearfar.train`, except those below.

    Args:
        recipe: The recipe as an object.
        settings: The options that differ from the defaults.
        trial: Steps of each stage in a trial of a comparison, which override the options; 0: no trial.
        rows_in_step: Number of rows that a step of `max_steps` stands for, in a comparison with equal budgets: the run
            takes as many steps as are needed to draw these rows. 0: exactly `max_steps` steps.
    """

    recipe: Recipe
    data: Any
    model: Any = None
    evaluation: Any = None
    validation: Any = None
    keep: Any = None
    out: str | Path | None = None
    seed: int = 0
    resume: bool = False
    columns: Columns | Sequence[Columns | None] | None = None
    weights: Sequence[float] | None = None
    evaluation_columns: Columns | None = None
    skip_broken: bool = False
    trainer_args: str | Path | Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    keep_checkpoints: bool = False
    trial: int = 0
    rows_in_step: int = 0

    @cached_property
    def options(self) -> TrainingOptions:
        """The recipe's options with the settings, checked."""
        return with_settings(self.recipe.options(), self.settings)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Further arguments of the Hugging Face trainer."""
        return read_trainer_args(self.trainer_args)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path("runs", self.recipe.name) if self.out is None else Path(self.out)

    @property
    def start(self) -> Any:
        """The base model: a name, a model in memory, or None if the recipe makes a new model."""
        return self.recipe.base(()) if self.model is None else self.model

    def based_on(self, rows: Dataset | DatasetDict) -> Request:
        """The same, with the base model that the recipe has for these rows if none was named."""
        if self.model is not None or not isinstance(self.recipe.model, Mapping):
            return self
        names = rows.column_names
        columns = {name for each in names.values() for name in each} if isinstance(names, dict) else names
        return replace(self, model=self.recipe.base(columns))

    @property
    def splits_documents(self) -> bool:
        """Whether some rows are held out, because there is no other evaluation data."""
        return self.evaluation is None and bool(getattr(self.options, "held_out", 0))

    def check(self) -> None:
        """Check the settings before anything is read.

        Raises:
            InputError: Options contradict each other.
        """
        import torch

        options = self.options
        check_trainer_args(self.arguments, options, self.trainer_args)
        if self.validation is not None and not options.follows:
            problem = "validation rows decide nothing without early_stopping or checkpoint=best"
            raise InputError(problem, field="--validation", remedy="set one of them, or remove --validation")
        measured = self.evaluation is not None or self.splits_documents or options.follows
        if options.eval_steps and not measured:
            raise InputError("requires evaluation data", field="eval_steps", remedy="pass --eval, or remove eval_steps")
        if options.precision == "float16" and not torch.cuda.is_available():
            raise InputError("float16 requires a GPU", field="precision", remedy="use float32 or bfloat16")

    def recorded(self) -> dict[str, Any]:
        """The settings that `run.yaml` records."""
        from nearfar.training.rows import source_of

        columns = self.columns
        listed = dict(columns) if isinstance(columns, Mapping) else [dict(each or {}) for each in columns or ()] or None
        mapped = self.evaluation_columns
        return {
            "columns": listed,
            **({} if self.weights is None else {"weights": list(self.weights)}),
            "evaluation": source_of(self.evaluation),
            "evaluation_columns": None if mapped is None else dict(mapped),
            **({} if self.validation is None else {"validation": source_of(self.validation)}),
            **({"skip_broken": True} if self.skip_broken else {}),
            **({} if self.keep is None else {"keep": source_of(self.keep)}),
            "options": asdict(self.options),
            **({"trainer_args": self.arguments} if self.arguments else {}),
            "seed": self.seed,
        }
