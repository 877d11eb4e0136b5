"""The label vocabulary of an encoder of actions: the acts and slots that it was trained with, with a vector for each.

A folder of a model may contain one; who needs it asks for it with `ActionLabels.load` and gets None from others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from nearfar.errors import InputError
from nearfar.models.model_files import json_object

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["FOLDER", "ActionLabel", "ActionLabels"]

#: Its folder in a model's folder.
FOLDER = "action_labels"
_LABELS, _VECTORS = "labels.json", "vectors.safetensors"

Side = Literal["user", "agent"]


@dataclass(frozen=True)
class ActionLabel:
    """What a turn does.

    Args:
        side: Who does it.
        acts: Dialogue acts in the vocabulary of `nearfar.data.actions`, such as "request".
        slots: What they are about, such as "date".
    """

    side: Side
    acts: tuple[str, ...]
    slots: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ActionLabels:
    """Labels, and the mean of the vectors of each one's utterances, (labels, d), of length 1.

    Args:
        labels: The labels.
        vectors: A unit vector for each.
    """

    labels: list[ActionLabel]
    vectors: Float[np.ndarray, "labels d"]

    def save(self, folder: Path) -> None:
        """Write them into a model's folder, vectors in half precision."""
        from safetensors.numpy import save_file

        place = Path(folder, FOLDER)
        place.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps([label.side, label.acts, label.slots], ensure_ascii=False) for label in self.labels]
        (place / _LABELS).write_text('{"labels": [\n' + ",\n".join(rows) + "\n]}\n", "utf-8")
        save_file({"vectors": np.ascontiguousarray(self.vectors, np.float16)}, place / _VECTORS)

    @classmethod
    def load(cls, folder: str | Path) -> ActionLabels | None:
        """Load the labels in a model's folder; None if there are none.

        Raises:
            InputError: Their files are corrupted, or do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        place = Path(folder, FOLDER)
        if not place.is_dir():
            return None
        try:
            rows = json_object(place / _LABELS)["labels"]
            labels = [ActionLabel(side, tuple(acts), tuple(slots)) for side, acts, slots in rows]
            vectors = load_file(place / _VECTORS)["vectors"].astype(np.float32)
        except InputError:
            raise
        except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
            problem = f"the labels of actions cannot be loaded ({type(error).__name__})"
            raise InputError(problem, file=place, remedy="copy the folder again") from error
        if vectors.ndim != 2 or len(vectors) != len(labels) or not np.isfinite(vectors).all():
            problem = f"expected a vector for each of {len(labels)} labels, got shape {vectors.shape}"
            raise InputError(problem, file=place, remedy="copy the folder again")
        return cls(labels, vectors)
