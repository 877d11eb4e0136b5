"""What language models share that train on the rows of a stage as they are, with a collator of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nearfar.kinds.kind import Kind, Setting
from nearfar.kinds.options import LanguageOptions, TrainingOptions

if TYPE_CHECKING:
    from nearfar.kinds.plan import Stage

__all__ = ["ByRows"]


class ByRows(Kind):
    """Trained by the transformers trainer on batches of rows."""

    #: What is trained.
    model: Any

    @abstractmethod
    def collate(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch of rows, on the CPU."""

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """Raise an InputError if the rows do not fill one step."""
        from nearfar.kinds._language_trainer import check_rows

        rows: Any = stage.rows
        assert isinstance(options, LanguageOptions)
        check_rows(rows, options, "rows")

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The transformers trainer."""
        from nearfar.kinds._language_trainer import language_trainer

        rows: Any = stage.rows
        assert isinstance(options, LanguageOptions)
        return language_trainer(self.model, stage, rows, self.collate, options, setting)

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        """Parameters, memory and speed."""
        from nearfar.kinds._language_trainer import speed
        from nearfar.models.size import sizes

        return {**sizes(self.model), "speed": speed(trainers)}
