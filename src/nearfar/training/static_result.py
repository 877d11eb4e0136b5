"""What `nearfar distill` made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from nearfar.evaluation import Interval, Result

__all__ = ["Distilled"]


@dataclass(frozen=True, eq=False)
class Distilled:
    """What `distill` made.

    Args:
        folder: The folder of the model.
        model: The static model.
        teacher: Name of the encoder.
        dims: Dimensions of its vectors.
        tokens: Size of its vocabulary.
        seconds: Time to make it.
        texts_per_second: Of the teacher and of the static model.
        before, after: Evaluation of the teacher and of the static model; None without data.
        change: After minus before in the primary metric, with its paired 95% interval.
    """

    folder: Path
    model: SentenceTransformer
    teacher: str
    dims: int
    tokens: int
    seconds: float
    texts_per_second: tuple[float, float]
    before: Result | None = None
    after: Result | None = None
    change: Interval | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        found: dict[str, Any] = {
            "model": str(self.folder),
            "teacher": self.teacher,
            "dims": self.dims,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "texts_per_second": dict(zip(("teacher", "static"), self.texts_per_second, strict=True)),
        }
        if self.before is not None and self.after is not None:
            found |= {"teacher_scores": self.before.as_dict(), "static_scores": self.after.as_dict()}
        if self.change is not None:
            found["difference"] = {"mean": self.change.mean, "interval_95": [self.change.low, self.change.high]}
        return found
