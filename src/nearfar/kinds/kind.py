"""What every kind of model answers for itself: how it is saved, checked and trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self

    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["Kind", "Progress", "Setting"]

#: Called with step, number of steps, latest loss.
Progress = Callable[[int, int, "float | None"], None]


@dataclass(frozen=True)
class Setting:
    """Where and how a stage is trained, beside its options.

    Args:
        checkpoints: Folder of the stage's checkpoints.
        seed: Decides order, dropout and new parameters.
        measure: Called in the middle of training, every `eval_steps`: metric and value. None: nothing to measure on.
        progress: Called as the stage proceeds.
        rows: About how many rows to draw in all, whatever the options say; 0: as they say.
    """

    checkpoints: Path
    seed: int
    measure: Callable[[], Mapping[str, float]] | None = None
    progress: Progress | None = None
    rows: int = 0


class Kind(ABC):
    """A model of one kind, around the host library's own object.

    Which of `nearfar.models.abilities` it has, its methods say.
    """

    #: As a recipe's `trains` and a saved model's `nearfar.json` have it.
    name: ClassVar[str]
    #: For messages, with its article.
    words: ClassVar[str]
    #: Whether the option `prompts` is for it.
    prompted: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> Self:
        """A model of this kind from a folder, a hub id or an alias, in evaluation mode.

        Raises:
            InputError: there is no such model, or it is of another kind.
        """

    @property
    @abstractmethod
    def host(self) -> Any:
        """What `nearfar.load` returns and a recipe's `prepare` gets."""

    @property
    @abstractmethod
    def module(self) -> Any:
        """All weights, as one torch module with a `device`."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write weights and configuration, so that the host library loads the folder wherever that can be."""

    @abstractmethod
    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """A trainer of Hugging Face's family before its first step, with `train_or_resume(checkpoint)`."""

    @abstractmethod
    def fingerprint(self, name: object) -> str | None:
        """A hash of all that decides its answers; `name` is what it was loaded by."""

    def save(self, folder: str | Path) -> None:
        """Write the model, and its kind, into a folder; see `nearfar.load`."""
        from nearfar.models.kind_files import write_kind

        self.write(Path(folder))
        write_kind(Path(folder), self.name)

    def configure(self, options: TrainingOptions) -> None:  # noqa: B027 - most kinds have nothing to add
        """Take from a run's options what holds in measuring too.

        Raises:
            InputError: the model cannot be trained so, for example at such a length.
        """

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:  # noqa: B027
        """Find out before training that no batch can be drawn.

        Raises:
            InputError: which rows or option are at fault.
        """

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        """What `metrics.json` records of the model and its training beside the evaluation."""
        return {}
