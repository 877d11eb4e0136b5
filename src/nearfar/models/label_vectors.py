"""The classes of a classifier: one vector for each label, beside the encoder's vectors. Labels can be added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nearfar.errors import InputError
from nearfar.models.model_files import json_object

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["FOLDER", "LabelVectors"]

#: Its folder in a model's folder.
FOLDER = "labels"


class LabelVectors(nn.Module):
    """One learned vector for each label; an item has the label whose vector is closest by cosine.

    Args:
        width: Number of dimensions of the encoder's vectors.
        temperature: Temperature of the softmax over labels in training; None: unknown.
    """

    def __init__(self, width: int, temperature: float | None = None) -> None:
        super().__init__()
        self.temperature = temperature
        self.names: list[str] = []
        self.vectors = nn.Parameter(torch.empty(0, width))

    def add(self, names: Sequence[str], vectors: Float[Tensor, "labels d"]) -> None:
        """Add labels that do not exist yet; the vectors of the others stay the same.

        Raises:
            ValueError: A label already exists or is listed twice, or there is not one vector for each.
        """
        if len(set(names)) != len(names) or set(names) & set(self.names):
            raise ValueError(f"expected new labels, each listed once, got {list(names)} beside {self.names}")
        if vectors.shape != (len(names), self.vectors.shape[1]):
            expected = (len(names), self.vectors.shape[1])
            raise ValueError(f"expected vectors of shape {expected}, got {tuple(vectors.shape)}")
        self.names += names
        self.vectors = nn.Parameter(torch.cat([self.vectors.detach(), vectors.detach().to(self.vectors)]))

    def forward(self, vectors: Float[Tensor, "n d"]) -> Float[Tensor, "n labels"]:
        """The cosine of each vector with each label's vector."""
        return F.normalize(vectors, dim=1) @ F.normalize(self.vectors, dim=1).T

    def save(self, folder: Path) -> None:
        """Write the names and the vectors into a model's folder."""
        place = Path(folder, FOLDER)
        place.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": self.vectors.detach().cpu().contiguous()}, place / "model.safetensors")
        config = {"labels": self.names, "temperature": self.temperature}
        (place / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> LabelVectors:
        """Load the labels in a model's folder.

        Raises:
            InputError: There are no labels, or their files are corrupted.
        """
        place = Path(folder, FOLDER)
        if not place.is_dir():
            problem, remedy = "contains no labels", "train a classifier with `nearfar train coconut`"
            raise InputError(problem, file=folder, remedy=remedy)
        try:
            config = json_object(place / "config.json")
            vectors = load_file(place / "model.safetensors")["vectors"]
            temperature = config.get("temperature")
            found = cls(vectors.shape[1], None if temperature is None else float(temperature))
            found.add([str(name) for name in config["labels"]], vectors)
        except InputError:
            raise
        except (OSError, ValueError, TypeError, KeyError, IndexError, SafetensorError) as error:
            problem = f"the labels cannot be loaded ({type(error).__name__})"
            raise InputError(problem, file=place, remedy="copy the folder again") from error
        return found
