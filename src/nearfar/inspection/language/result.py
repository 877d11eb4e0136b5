"""The result of an inspection of a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.inspection.language.drafting import Drafting
    from nearfar.inspection.language.layers import AtLayer, KernelFound

#: Groups of positions by entropy, for the calibration.
GROUPS = 10


@dataclass(frozen=True)
class LanguageInspection:
    """What the states of a language model know.

    Args:
        model: The name of the model, as it was given.
        documents: Number of documents in the data.
        pieces: Number of pieces of text that were read, and of how many documents.
        tokens: Number of tokens that were predicted.
        vocabulary: v.
        width: d, of the last state.
        depth: Number of layers.
        seed: Random seed of all samples.
        laws: `nll`, `entropy`, `gap` (entropy minus nll), `collision` (the probability that two draws from a law are
            the same token), as means over tokens.
        gap_interval: A 95% interval of the gap, over pieces; None for a single piece.
        calibration: (mean entropy, mean NLL) of tokens in groups of equal size, by entropy.
        metric: `trace`, `effective_rank` and `participation_ratio` of the mean Fisher-Rao metric of the last state.
        eigenvalues: Its eigenvalues, the largest first.
        kernel: The kernel that layers are compared with; None if no layers are compared.
        layers: The agreement of each layer.
        drafting: What drafters could gain; None if not measured.
        notes: Notes for readers of the results.
        seconds: Time that the inspection took.
    """

    model: str
    documents: int
    pieces: tuple[int, int]
    tokens: int
    vocabulary: int
    width: int
    depth: int
    seed: int
    laws: dict[str, float]
    gap_interval: tuple[float, float] | None
    calibration: list[tuple[float, float]]
    metric: dict[str, float]
    eigenvalues: list[float]
    kernel: KernelFound | None
    layers: list[AtLayer]
    drafting: Drafting | None
    notes: tuple[str, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "model": self.model,
            "documents": self.documents,
            "read": {"pieces": self.pieces[0], "documents": self.pieces[1], "tokens": self.tokens, "seed": self.seed},
            "vocabulary": self.vocabulary,
            "width": self.width,
            "depth": self.depth,
            "laws": {**self.laws, "gap_interval_95": self.gap_interval and list(self.gap_interval)},
            "calibration": [list(point) for point in self.calibration],
            "metric": {**self.metric, "eigenvalues": self.eigenvalues},
            "kernel": None if self.kernel is None else self.kernel.as_dict(),
            "layers": [each.as_dict() for each in self.layers],
            "drafting": None if self.drafting is None else self.drafting.as_dict(),
            "notes": list(self.notes),
            "seconds": self.seconds,
        }
