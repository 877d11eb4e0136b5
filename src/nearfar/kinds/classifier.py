"""An encoder with a vector for each label: predicts the label of texts, images or audio files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from nearfar.data.media import items_of, medium_in
from nearfar.errors import InputError
from nearfar.kinds.encoder import Encoder
from nearfar.kinds.kind import Kind, Setting
from nearfar.models.abilities import Classifies
from nearfar.models.encoding import encode
from nearfar.models.label_vectors import LabelVectors
from nearfar.models.loading import find, load
from nearfar.models.routes import medium_of
from nearfar.models.towers.reading import encode_media, encode_tower

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float

    from nearfar.data.media import Medium
    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["Classifier"]


class Classifier(Kind, Classifies):
    """Predicts labels. It has the ability `Classifies`. `SentenceTransformer(folder)` loads the encoder alone.

    Args:
        encoder: A text encoder, or a model with two towers, of which the one for images or audio is used.
        head: The labels, and a vector for each.

    Example:
        >>> classifier = Classifier.load("runs/coconut/model")  # doctest: +SKIP
        >>> classifier.predict(["where is my parcel"])  # doctest: +SKIP
        ['track_parcel']
    """

    name: ClassVar[str] = "classifier"
    words: ClassVar[str] = "a classifier"
    library: ClassVar[str] = "sentence-transformers"
    pipeline: ClassVar[str | None] = None
    usage: ClassVar[str] = (
        "# Its encoder alone; nearfar, below, also loads the labels.\n"
        "from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer(MODEL)"
    )
    prompted: ClassVar[bool] = True

    def __init__(self, encoder: SentenceTransformer, head: LabelVectors) -> None:
        self.encoder, self.head = encoder.eval(), head.to(encoder.device)

    @property
    def host(self) -> Classifier:
        """This object itself: no other library has such a model."""
        return self

    @property
    def module(self) -> nn.Module:
        """The encoder and the labels' vectors."""
        module: Any = nn.ModuleDict({"encoder": self.encoder, "head": self.head})
        module.device = self.encoder.device
        return module

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> Classifier:
        """Load the classifier from a model's folder or Hub repository, such as `runs/coconut/model`.

        Raises:
            InputError: The model cannot be loaded, or has no labels.
        """
        folder = find(name)
        head = LabelVectors.load(folder)
        return cls(load(folder, device=device, part_of=cls.name), head)

    @classmethod
    def without_labels(cls, encoder: SentenceTransformer, rows: Dataset) -> Classifier:
        """A classifier for rows, before it learns their labels.

        Raises:
            InputError: The rows have no label, or the encoder has no tower for their files.
        """
        if "label" not in rows.column_names:
            problem = f"expected a column 'label', got {', '.join(rows.column_names)}"
            raise InputError(problem, field="label", remedy="add the column, or map it with --columns label=NAME")
        medium = medium_in(rows.column_names)
        if medium_of(encoder) != medium:
            problem = (
                f"expected a model for a column {medium or 'text'!r}, got one for {medium_of(encoder) or 'text'!r}"
            )
            raise InputError(problem, field="--model", remedy="pass another model")
        width = (encode(encoder, ["a"]) if medium is None else encode_tower(encoder, rows.select([0]), medium)).shape[1]
        return cls(encoder, LabelVectors(width))

    def add_labels(self, rows: Dataset) -> None:
        """Add the labels of rows that the classifier does not know yet, in sorted order.

        The vector of a new label is the mean of the present vectors of its rows.
        """
        labels = np.array([str(label) for label in rows["label"][:]])
        names = sorted({*labels.tolist()} - {*self.head.names})
        if names:
            new = np.flatnonzero(np.isin(labels, names))
            vectors = self.vectors_of(rows.select(new))
            means = np.stack([vectors[labels[new] == name].mean(0) for name in names])
            self.head.add(names, torch.from_numpy(means))

    @property
    def medium(self) -> Medium | None:
        """See `Classifies`."""
        return medium_of(self.encoder)

    @property
    def labels(self) -> list[str]:
        """See `Classifies`."""
        return list(self.head.names)

    def vectors(self, items: Sequence[Any], *, batch_size: int = 64) -> Float[np.ndarray, "n d"]:
        """The unit vectors of texts; for a model with two towers, of files."""
        if self.medium is None:
            return encode(self.encoder, items, batch_size=batch_size)
        return encode_media(self.encoder, items, self.medium, batch_size=batch_size)

    def vectors_of(self, rows: Dataset) -> Float[np.ndarray, "n d"]:
        """The unit vectors of the items of rows."""
        return self.vectors(items_of(rows))

    @torch.no_grad()
    def label_scores(self, items: Sequence[Any], *, batch_size: int = 64) -> Float[np.ndarray, "n labels"]:
        """See `Classifies`: the cosine of each item with each label's vector."""
        return self.head(self._of(items, batch_size)).cpu().numpy()

    @torch.no_grad()
    def predict(self, items: Sequence[Any], *, batch_size: int = 64) -> list[str]:
        """The label of each text; for a model with two towers, of each file."""
        return [self.head.names[label] for label in self.head(self._of(items, batch_size)).argmax(1).tolist()]

    def _of(self, items: Sequence[Any], batch_size: int) -> Float[Tensor, "n d"]:
        return torch.from_numpy(self.vectors(items, batch_size=batch_size)).to(self.head.vectors)

    def fingerprint(self, name: object) -> str:
        """A hash of the encoder, the labels and their vectors."""
        import hashlib

        from nearfar.models.fingerprint import fingerprint

        digest = hashlib.sha256(fingerprint(self.encoder).encode() + repr(self.head.names).encode())
        digest.update(self.head.vectors.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def write(self, folder: Path) -> None:
        """The encoder in the format that `SentenceTransformer(folder)` loads, and the labels next to it."""
        self.encoder.save_pretrained(str(folder), create_model_card=False)
        self.head.save(folder)

    def configure(self, options: TrainingOptions) -> None:
        """As for an encoder."""
        Encoder(self.encoder).configure(options)

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """As for an encoder."""
        Encoder(self.encoder).check_stage(stage, options)

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The trainer of an encoder, with a loss that contains the labels' vectors as `head`."""
        return Encoder(self.encoder).trainer(stage, options, setting)

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        """The labels, and the prompts of training."""
        return {"labels": self.labels, **Encoder(self.encoder).facts(trainers)}
