"""The text encoder: one vector per text, with the model and the trainer of sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.kinds.kind import Kind, Setting
from nearfar.models.abilities import Encodes, Scores
from nearfar.models.encoding import Kind as Prompt
from nearfar.models.encoding import check_texts, encode, require_finite

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

    from nearfar.kinds._sampling import Part
    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["Encoder"]


class Encoder(Kind, Encodes, Scores):
    """A SentenceTransformer. It has the abilities `Encodes` and `Scores` (its similarity function, by default cosine).

    Args:
        model: The model; trained in place.
        write: Writes the model into a folder, for models that `save_pretrained` cannot write.
    """

    name: ClassVar[str] = "encoder"
    words: ClassVar[str] = "a text encoder"

    def __init__(
        self, model: SentenceTransformer, write: Callable[[SentenceTransformer, Path], None] | None = None
    ) -> None:
        self.model, self._write = model, write

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> Encoder:
        """See `nearfar.models.load`."""
        from nearfar.models.loading import load

        return cls(load(name, device=device))

    @property
    def host(self) -> SentenceTransformer:
        """The SentenceTransformer."""
        return self.model

    @property
    def module(self) -> SentenceTransformer:
        """The SentenceTransformer, too."""
        return self.model

    def encode(
        self, texts: Sequence[str], *, batch_size: int = 64, kind: Prompt | None = None
    ) -> Float[np.ndarray, "n d"]:
        """The unit vectors of texts; see `nearfar.models.encoding.encode`."""
        return encode(self.model, texts, batch_size=batch_size, kind=kind)

    def score_pairs(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """The similarity of each pair, by the model's similarity function."""
        import numpy as np
        import torch

        vectors = []
        for field, texts in (("first", first), ("second", second)):
            check_texts(texts, field=field)
            found = self.model.encode(list(texts), batch_size=batch_size, show_progress_bar=False)
            found = np.asarray(found, dtype=np.float32)
            require_finite(found)
            vectors.append(torch.from_numpy(found))
        return np.asarray(self.model.similarity_pairwise(*vectors), dtype=np.float32)

    def fingerprint(self, name: object) -> str:
        """A hash of the weights, the vocabulary and the settings that affect vectors."""
        from nearfar.models.fingerprint import fingerprint

        return fingerprint(self.model)

    def write(self, folder: Path) -> None:
        """In the format that `SentenceTransformer(folder)` loads."""
        if self._write is None:
            self.model.save_pretrained(str(folder))
        else:
            self._write(self.model, folder)

    def configure(self, options: TrainingOptions) -> None:
        """Check the length; in evaluation and after training, the model keeps its own length."""
        from nearfar.models.loading import check_max_length

        if options.max_length:
            check_max_length(self.model, options.max_length)

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """Raise an InputError if the sentence-transformers samplers would fail or return no batch."""
        from nearfar.kinds._sampling import check_parts, parts_of

        check_parts(parts_of(stage, options), options)

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The sentence-transformers trainer."""
        from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

        from nearfar.kinds._sampling import parts_of
        from nearfar.kinds._trainer import sentence_trainer

        trainer = sentence_trainer(
            SentenceTransformerTrainer,
            SentenceTransformerTrainingArguments,
            self.model,
            stage,
            options,
            setting,
            router_mapping=_routes(self.model, parts_of(stage, options)),
        )
        if options.max_length:
            # Only in training: in evaluation and after training, the model keeps its own length.
            trainer.data_collator.max_length = options.max_length
        return trainer


def _routes(encoder: SentenceTransformer, parts: Sequence[Part]) -> dict[str, Any]:
    """Which of the model's towers encodes which column; with several datasets, for each of them."""
    from nearfar.models.towers.columns import column_routes

    found = {part.name: column_routes(encoder, part.rows.column_names) for part in parts}
    return found[None] if None in found else {str(name): routes for name, routes in found.items() if routes}
