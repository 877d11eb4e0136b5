"""What one run was asked for, in one object that is passed along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions, with_settings

if TYPE_CHECKING:
    from nearfar.kinds.kind import Progress
    from nearfar.recipes import Recipe

__all__ = ["Request"]

Columns = Mapping[str, str]


@dataclass(frozen=True)
class Request:
    """A run's settings. Fields as the arguments of `nearfar.train`, but for those below.

    Args:
        recipe: The recipe itself.
        settings: Its options that differ from the defaults.
        trial: Steps of each stage, whatever the options say: what a trial of a comparison takes. 0: no trial.
    """

    recipe: Recipe
    data: Any
    model: Any = None
    evaluation: Any = None
    out: str | Path | None = None
    seed: int = 0
    resume: bool = False
    columns: Columns | Sequence[Columns | None] | None = None
    evaluation_columns: Columns | None = None
    skip_broken: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    keep_checkpoints: bool = False
    trial: int = 0

    @cached_property
    def options(self) -> TrainingOptions:
        """The recipe's options with the settings, checked."""
        return with_settings(self.recipe.options(), self.settings)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path("runs", self.recipe.name) if self.out is None else Path(self.out)

    @property
    def start(self) -> Any:
        """What training starts from: a name, a model in memory, or None where the recipe makes a new one."""
        return self.recipe.model if self.model is None else self.model

    @property
    def splits_documents(self) -> bool:
        """Whether some of the rows are held out, since nothing else is given to measure on."""
        return self.evaluation is None and bool(getattr(self.options, "held_out", 0))

    def check(self) -> None:
        """Find out what can be known to be wrong before anything is read.

        Raises:
            InputError: options that do not go together.
        """
        import torch

        options = self.options
        if options.eval_steps and self.evaluation is None and not self.splits_documents:
            raise InputError("nothing to evaluate on", field="eval_steps", remedy="give --eval, or remove eval_steps")
        if options.precision == "float16" and not torch.cuda.is_available():
            raise InputError("float16 needs a GPU", field="precision", remedy="use float32 or bfloat16")

    def recorded(self) -> dict[str, Any]:
        """What `run.yaml` says of the settings."""
        from nearfar.training.rows import source_of

        columns = self.columns
        listed = dict(columns) if isinstance(columns, Mapping) else [dict(each or {}) for each in columns or ()] or None
        mapped = self.evaluation_columns
        return {
            "columns": listed,
            "evaluation": source_of(self.evaluation),
            "evaluation_columns": None if mapped is None else dict(mapped),
            "options": asdict(self.options),
            "seed": self.seed,
        }
