"""How often each label was in training: what turns the scores of binary NCE into probabilities."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearfar.errors import InputError
from nearfar.models.model_files import json_object

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["FILE", "LabelCounts"]

#: Its file in a model's folder.
FILE = "label_counts.json"


@dataclass(frozen=True)
class LabelCounts:
    """The noise of a model that was trained by binary NCE with labels of other texts.

    For each text, K labels are drawn with q(l), the share of label l among all occurrences of labels, and those that
    the text has itself do not count. The scores of such a model approach logit p(l | text) - log(K q(l)), so that
    adding log(K q) gives the logit of the probability that the text has the label (that it is among those drawn as
    positives, if texts have more labels than are drawn).

    Args:
        counts: Number of texts with each label.
        negatives: K.
    """

    counts: Mapping[str, int]
    negatives: int

    @classmethod
    def of(cls, labels: Iterable[Iterable[str]], negatives: int) -> LabelCounts:
        """Counts the rows with each label."""
        return cls(Counter(label for row in labels for label in dict.fromkeys(row)), negatives)

    def with_counts(self, counts: Mapping[str, int]) -> LabelCounts:
        """The same with other frequencies, such as those of other texts."""
        return replace(self, counts=counts)

    def log_noise(self, labels: Sequence[str]) -> Float[np.ndarray, " labels"]:
        """log(K q(l)) of each label. A label that was not counted is as frequent as one that was counted once."""
        total = max(1, sum(self.counts.values()))
        counts = np.array([max(1, self.counts.get(label, 0)) for label in labels], dtype=np.float64)
        return np.log(self.negatives * counts / total)

    def save(self, folder: Path) -> None:
        """Write the counts into a model's folder, the most frequent label first."""
        counts = dict(sorted(self.counts.items(), key=lambda each: (-each[1], each[0])))
        text = json.dumps({"negatives": self.negatives, "counts": counts}, indent=1, ensure_ascii=False)
        Path(folder, FILE).write_text(text + "\n", "utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> LabelCounts | None:
        """Read the counts from a model's folder; None if there are none.

        Raises:
            InputError: The file is corrupted.
        """
        file = Path(folder, FILE)
        if not file.is_file():
            return None
        found = json_object(file)
        counts, negatives = found.get("counts"), found.get("negatives")
        if (
            isinstance(counts, dict)
            and isinstance(negatives, int)
            and all(map(_is_count, (*counts.values(), negatives)))
        ):
            return cls(counts, negatives)
        problem = "expected 'counts' of labels, and 'negatives': whole numbers of 1 or more"
        raise InputError(problem, file=file, remedy="copy the folder again")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
