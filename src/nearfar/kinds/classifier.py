"""An encoder with a vector for each label: predicts the label of texts, images or audio files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn

from nearfar.data.media import items_of, medium_in
from nearfar.data.utterances import Utterance
from nearfar.errors import InputError
from nearfar.kinds.encoder import Encoder
from nearfar.kinds.kind import Kind, Setting
from nearfar.models.abilities import Classifies
from nearfar.models.encoding import encode
from nearfar.models.label_vectors import LabelVectors
from nearfar.models.loading import find, load
from nearfar.models.routes import medium_of
from nearfar.models.sequence_decoder import SequenceDecoder, frames_of
from nearfar.models.towers.reading import encode_media, encode_tower, reader_for

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Bool, Float

    from nearfar.data.media import Medium
    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["Classifier"]


class Classifier(Kind, Classifies):
    """Predicts labels. It has the ability `Classifies`. `SentenceTransformer(folder)` loads the encoder alone.

    Args:
        encoder: A text encoder, or a model with two towers, of which the one for images or audio is used.
        head: The labels, and a vector for each.
        decoder: Writes label, slots and transcript of audio files; None: only labels are predicted.

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
    pooled: ClassVar[bool] = True
    chunked: ClassVar[bool] = True

    def __init__(
        self, encoder: SentenceTransformer, head: LabelVectors, decoder: SequenceDecoder | None = None
    ) -> None:
        self.encoder, self.head = encoder.eval(), head.to(encoder.device)
        self.decoder = None if decoder is None else decoder.to(encoder.device).eval()

    @property
    def host(self) -> Classifier:
        """This object itself: no other library has such a model."""
        return self

    @property
    def module(self) -> nn.Module:
        """The encoder, the labels' vectors, and the decoder if there is one."""
        parts = {"encoder": self.encoder, "head": self.head, "decoder": self.decoder}
        module: Any = nn.ModuleDict({name: part for name, part in parts.items() if part is not None})
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
        return cls(load(folder, device=device, part_of=cls.name), head, SequenceDecoder.load(folder))

    @classmethod
    def without_labels(
        cls, encoder: SentenceTransformer, rows: Dataset, temperature: float | None = None
    ) -> Classifier:
        """A classifier for rows, before it learns their labels.

        Args:
            encoder: The encoder.
            rows: Rows with `label`, and `text`, `image` or `audio`.
            temperature: Temperature of the softmax over labels in training; without it there are no probabilities.

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
        return cls(encoder, LabelVectors(width, temperature))

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

    def add_decoder(self, rows: Dataset, vocabulary: int, layers: int) -> None:
        """Add a decoder with random weights, whose tokens are learned from the targets of rows.

        Raises:
            InputError: The rows are not audio files with texts, or the sizes do not match.
        """
        if medium_in(rows.column_names) != "audio" or "text" not in rows.column_names:
            problem = f"a decoder requires the columns audio and text, got {', '.join(rows.column_names)}"
            raise InputError(problem, field="decoder_layers", remedy="set decoder_layers=0, or use such rows")
        width = self._frames(items_of(rows.select([0])))[0].shape[2]
        decoder = SequenceDecoder.new([each.target() for each in _utterances(rows)], width, vocabulary, layers)
        self.decoder = decoder.to(self.encoder.device).eval()

    def targets(self, rows: Dataset, rehearsed: Dataset | None, distil_beams: int = 0) -> list[list[int]] | None:
        """The tokens that the decoder learns to write about rows, then about rehearsed rows; None without a decoder.

        Args:
            rows: Rows of the current task.
            rehearsed: Rows of earlier tasks.
            distil_beams: Beams of what the decoder now writes about rehearsed rows, which takes the place of their own
                labels and texts (sequence distillation); 0: their own.

        Source: Kim and Rush 2016, Sequence-Level Knowledge Distillation.
        """
        if self.decoder is None:
            return None
        found = _utterances(rows)
        if rehearsed is not None:
            written = self.understood(items_of(rehearsed), beams=distil_beams) if distil_beams else None
            found += _utterances(rehearsed) if written is None else written
        return self.decoder.targets([each.target() for each in found])

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

    def probabilities(self, scores: Float[np.ndarray, "n labels"]) -> Float[np.ndarray, "n labels"] | None:
        """See `Classifies`: the softmax with the temperature of training; None if the folder does not record it."""
        from scipy.special import softmax

        return None if self.head.temperature is None else softmax(scores / self.head.temperature, axis=1)

    @torch.no_grad()
    def predict(self, items: Sequence[Any], *, batch_size: int = 64) -> list[str]:
        """The label of each text; for a model with two towers, of each file."""
        return [self.head.names[label] for label in self.head(self._of(items, batch_size)).argmax(1).tolist()]

    @torch.no_grad()
    def understood(self, items: Sequence[Any], *, batch_size: int = 64, beams: int = 1) -> list[Utterance] | None:
        """See `Classifies`: the label, slots and transcript that the decoder writes about each audio file.

        Args:
            items: Audio files.
            batch_size: Batch size of the encoder.
            beams: Beams of the search; 1 is greedy.
        """
        if self.decoder is None:
            return None
        found: list[Utterance] = []
        for start in range(0, len(items), batch_size):
            frames, real = self._frames(items[start : start + batch_size])
            found += [Utterance.parsed(text) for text in self.decoder.decode(frames, beams, real)]
        return found

    @torch.no_grad()
    def _frames(self, items: Sequence[Any]) -> tuple[Float[Tensor, "n t width"], Bool[Tensor, "n t"] | None]:
        reader = reader_for(self.encoder, "audio")
        features = self.encoder.preprocess([reader.read(item) for item in items], task="audio")
        return frames_of(self.encoder(batch_to_device(features, self.encoder.device), task="audio"))

    def _of(self, items: Sequence[Any], batch_size: int) -> Float[Tensor, "n d"]:
        return torch.from_numpy(self.vectors(items, batch_size=batch_size)).to(self.head.vectors)

    def fingerprint(self, name: object) -> str:
        """A hash of the encoder, the labels and their vectors."""
        import hashlib

        from nearfar.models.fingerprint import fingerprint

        digest = hashlib.sha256(fingerprint(self.encoder).encode() + repr(self.head.names).encode())
        states = [self.head.state_dict(), {} if self.decoder is None else self.decoder.state_dict()]
        for _, value in (pair for state in states for pair in sorted(state.items())):
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def write(self, folder: Path) -> None:
        """The encoder in the format that `SentenceTransformer(folder)` loads, and the labels next to it."""
        self.encoder.save_pretrained(str(folder), create_model_card=False)
        self.head.save(folder)
        if self.decoder is not None:
            self.decoder.save(folder)

    @property
    def prompting(self) -> SentenceTransformer:
        """The encoder."""
        return self.encoder

    def configure(self, options: TrainingOptions) -> None:
        """As for an encoder."""
        Encoder(self.encoder).configure(options)

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """As for an encoder."""
        Encoder(self.encoder).check_stage(stage, options)

    def prompts_in_training(self, stage: Stage, options: TrainingOptions) -> dict[str, Any]:
        """Those of the encoder."""
        return Encoder(self.encoder).prompts_in_training(stage, options)

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The trainer of an encoder, with a loss that contains the labels' vectors as `head`, and `decoder`."""
        if self.decoder is not None:
            self.decoder.train()  # the trainer does this only for the encoder
        return Encoder(self.encoder).trainer(stage, options, setting)

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        """The labels, and the prompts of training."""
        return {"labels": self.labels, **Encoder(self.encoder).facts(trainers)}


def _utterances(rows: Dataset) -> list[Utterance]:
    """The targets of audio files with `label`, `text`, and perhaps `slots`."""
    slots = rows["slots"][:] if "slots" in rows.column_names else [None] * len(rows)
    return [Utterance.of(*each) for each in zip(rows["label"][:], slots, rows["text"][:], strict=True)]
