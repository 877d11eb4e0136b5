"""The base class of the kinds of model: how each is saved, checked and trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    """Where and how a stage is trained, in addition to its options.

    Args:
        checkpoints: Folder of the stage's checkpoints.
        seed: Random seed for the order of rows, dropout and new parameters.
        measure: Called during training every `eval_steps` steps; returns metrics by name. None: no held-out data.
        progress: Called during training.
        rows: About how many rows to draw in total, instead of what the options say; 0: as the options say.
        metric: The metric of `measure`, if it decides when to stop and which checkpoint is kept; empty: it does not.
        arguments: Further arguments of the Hugging Face trainer, by its own names.
    """

    checkpoints: Path
    seed: int
    measure: Callable[[], Mapping[str, float]] | None = None
    progress: Progress | None = None
    rows: int = 0
    metric: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Kind(ABC):
    """A model of one kind, a wrapper around the host library's object.

    Its methods decide which of the `nearfar.models.abilities` it has.
    """

    #: The name used in a recipe's `trains` and in a saved model's `nearfar.json`.
    name: ClassVar[str]
    #: The name used in messages, with its article.
    words: ClassVar[str]
    #: For the model card: the library that loads its folder, the name of its task on the Hub, and code that uses MODEL.
    library: ClassVar[str] = "transformers"
    pipeline: ClassVar[str | None] = None
    usage: ClassVar[str] = ""
    #: Whether the option `prompts` is for it.
    prompted: ClassVar[bool] = False
    #: Whether the option `pooling` is for it.
    pooled: ClassVar[bool] = False
    #: Whether the option `mini_batch_num_tokens` is for it.
    chunked: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> Self:
        """Load a model of this kind from a folder, a Hub ID or an alias, in evaluation mode.

        Raises:
            InputError: The model does not exist or is of another kind.
        """

    @property
    @abstractmethod
    def host(self) -> Any:
        """The object that `nearfar.load` returns and a recipe's `prepare` receives."""

    @property
    @abstractmethod
    def module(self) -> Any:
        """All weights, as one torch module with a `device`."""

    @property
    def prompting(self) -> Any:
        """The SentenceTransformer that puts prompts before texts, of a kind that is `prompted`."""
        return self.host

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write weights and configuration, so that the host library can load the folder where possible."""

    @abstractmethod
    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """A Hugging Face trainer before its first step, with a method `train_or_resume(checkpoint)`."""

    @abstractmethod
    def fingerprint(self, name: object) -> str | None:
        """A hash of everything that affects the model's output; `name` is the name it was loaded by."""

    def save(self, folder: str | Path) -> None:
        """Write the model and its kind into a folder; see `nearfar.load`."""
        from nearfar.models.kind_files import write_kind
        from nearfar.models.older_readers import write_for_older_readers

        self.write(Path(folder))
        write_for_older_readers(Path(folder))
        write_kind(Path(folder), self.name)

    def configure(self, options: TrainingOptions) -> None:  # noqa: B027 - most kinds have nothing to add
        """Apply those options of a run that matter in evaluation too.

        Raises:
            InputError: The model does not support an option, for example the length.
        """

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:  # noqa: B027
        """Check before training that batches can be drawn.

        Raises:
            InputError: No batch can be drawn; the message names the rows or the option.
        """

    def prompts_in_training(self, stage: Stage, options: TrainingOptions) -> dict[str, Any]:
        """What stands before the texts of each column in training; of several datasets for each, by its name."""
        return {}

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        """Facts about the model and its training for `metrics.json`, in addition to the evaluation."""
        return {}
