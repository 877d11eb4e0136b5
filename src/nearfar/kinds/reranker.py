"""The reranker: a sentence-transformers CrossEncoder, which reads both texts of a pair and returns a number."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.kinds.kind import Kind, Setting
from nearfar.models.abilities import Scores
from nearfar.models.lengths import check_length

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import CrossEncoder

    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["Reranker"]

logger = logging.getLogger(__name__)


class Reranker(Kind, Scores):
    """A CrossEncoder: a classifier over the pair, or a causal language model that answers yes or no.

    It has the ability `Scores`: the logit, or log p(yes) - log p(no); with several classes, the expected class.

    Args:
        model: The model; trained in place.
    """

    name: ClassVar[str] = "reranker"
    words: ClassVar[str] = "a reranker (cross-encoder)"
    chunked: ClassVar[bool] = True
    library: ClassVar[str] = "sentence-transformers"
    pipeline: ClassVar[str | None] = "text-ranking"
    usage: ClassVar[str] = (
        "from sentence_transformers import CrossEncoder\n\nmodel = CrossEncoder(MODEL)\n"
        'print(model.predict([("a query", "a document")]))'
    )

    def __init__(self, model: CrossEncoder) -> None:
        self.model = model

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> Reranker:
        """See `nearfar.models.cross_encoder.load_cross_encoder`: an encoder gets a new classifier, with a warning."""
        from nearfar.models.cross_encoder import load_cross_encoder

        return cls(load_cross_encoder(name, device=device))

    @property
    def host(self) -> CrossEncoder:
        """The CrossEncoder."""
        return self.model

    @property
    def module(self) -> CrossEncoder:
        """The CrossEncoder, too."""
        return self.model

    def score_pairs(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """The logit of each pair, before any sigmoid; for `batch_size` see `nearfar.models.yes_no.pair_logits`."""
        import numpy as np

        from nearfar.models.encoding import check_texts, require_finite
        from nearfar.models.yes_no import pair_logits

        check_texts(first, field="first")
        check_texts(second, field="second")
        pairs = list(zip(first, second, strict=True))
        logits = pair_logits(self.model, pairs, batch_size=batch_size).cpu().numpy()
        require_finite(logits)
        if logits.shape[1] == 1:
            return logits[:, 0]
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return ((powers / powers.sum(1, keepdims=True)) @ np.arange(logits.shape[1])).astype(np.float32)

    def fingerprint(self, name: object) -> str:
        """A hash of the weights, the vocabulary and the settings that affect scores."""
        from nearfar.models.fingerprint import fingerprint

        return fingerprint(self.model)

    def write(self, folder: Path) -> None:
        """In the format that `CrossEncoder(folder)` loads."""
        self.model.save_pretrained(str(folder), create_model_card=False)

    def configure(self, options: TrainingOptions) -> None:
        """Truncate pairs in evaluation as in training; the length is saved with the model."""
        if options.max_length:
            limit = getattr(self.model.config, "max_position_embeddings", None)
            check_length(options.max_length, self.model.tokenizer, [limit], texts=2)
            self.model.max_seq_length = options.max_length

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """Raise an InputError if no batch can be drawn."""
        from nearfar.kinds._sampling import check_parts, parts_of

        check_parts(parts_of(stage, options), options)

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The sentence-transformers trainer for cross-encoders."""
        from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments

        from nearfar.kinds._trainer import sentence_trainer

        return sentence_trainer(
            CrossEncoderTrainer,
            CrossEncoderTrainingArguments,
            self.model,
            stage,
            options,
            setting,
            # As `predict` reads a pair.
            prompts=(self.model.prompts or {}).get(self.model.default_prompt_name or "") or None,
        )
