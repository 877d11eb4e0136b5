"""What `export`, `push` and `verify` return."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.evaluation import Interval, Result

__all__ = ["Check", "Exported", "Pushed", "TooDifferent", "Verified"]


@dataclass(frozen=True, eq=False)
class Exported:
    """An export and how it compares to the model that it was made from.

    Args:
        folder: The folder of the export; it does not exist if `passed` is false.
        target: What it was made for, such as `onnx`.
        int8: Whether its weights have 8 bits.
        model: Name of the original model.
        measure: What `difference` is: `vectors`, or `similarities` for vectors in another space.
        difference: The greatest 1 - cos of a text's two vectors; of similarities, the greatest difference of the
            cosine of two texts.
        limit: The greatest difference that is accepted.
        texts: Number of texts that were compared.
        data: What the metric was measured on.
        before, after: Evaluation of the original and of the export.
        change: After minus before in the primary metric, with its paired 95% interval.
        texts_per_second: Of the original and of the export, on this machine.
        bytes: Size of the weights of the original and of the export.
        start: Command line or code that uses the export.
        notes: What to know about it.
    """

    folder: Path
    target: str
    int8: bool
    model: str
    measure: str
    difference: float
    limit: float
    texts: int
    data: str
    before: Result
    after: Result
    change: Interval | None
    texts_per_second: tuple[float, float]
    bytes: tuple[int, int]
    start: str
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the difference is within the limit; NaN is not."""
        return self.difference <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and `export.json`."""
        names = ("original", "export")
        found: dict[str, Any] = {
            "for": self.target,
            "int8": self.int8,
            "model": self.model,
            "passed": self.passed,
            "difference": {
                "of": self.measure,
                "greatest": self.difference,
                "limit": self.limit,
                "texts": self.texts,
            },
            "data": self.data,
            "metric": self.after.primary,
            "scores": dict(zip(names, (self.before.score, self.after.score), strict=True)),
            "texts_per_second": dict(zip(names, self.texts_per_second, strict=True)),
            "bytes": dict(zip(names, self.bytes, strict=True)),
            "start": self.start,
            "notes": list(self.notes),
        }
        if self.change is not None:
            found["change"] = {"mean": self.change.mean, "interval_95": [self.change.low, self.change.high]}
        return found


class TooDifferent(Exception):  # noqa: N818 - a result, not a mistake of the user
    """An export that differs from its model by more than the limit; nothing of it was kept.

    Args:
        exported: The figures.
    """

    def __init__(self, exported: Exported) -> None:
        self.exported = exported
        super().__init__(
            f"{exported.folder}: not written, as {exported.measure} differ by up to {exported.difference:.2g}, more "
            f"than the limit {exported.limit:.2g}; raise it with --limit if that is acceptable"
        )


@dataclass(frozen=True)
class Pushed:
    """What was uploaded, or would be.

    Args:
        to: The repository on the Hub.
        url: Its address; None for a dry run.
        folder: The local folder of a dry run.
        private: Whether only the owner can read it.
        files: Paths in the repository.
        notes: What was changed or left out.
    """

    to: str
    url: str | None
    folder: Path | None
    private: bool
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        found = asdict(self)
        return {**found, "folder": None if self.folder is None else str(self.folder)}


@dataclass(frozen=True)
class Check:
    """One thing that was compared with its record.

    Args:
        what: `files`, `data`, `evaluation data` or `figures`, with a name where there are several.
        equal: Whether it is what was recorded; None: it cannot be checked.
        detail: Which file or metric differs, or why it cannot be checked.
    """

    what: str
    equal: bool | None
    detail: str


@dataclass(frozen=True)
class Verified:
    """A run or model folder compared with its records.

    Args:
        folder: The folder.
        checks: Each thing that was compared.
    """

    folder: Path
    checks: tuple[Check, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs, and something could be checked."""
        found = [check.equal for check in self.checks]
        return False not in found and True in found

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"folder": str(self.folder), "equal": self.equal, "checks": [asdict(check) for check in self.checks]}
