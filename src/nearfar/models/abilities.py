"""What a model can be asked for. Evaluation, comparison and commands ask for an ability, never for a kind of model.

| ability | what it gives | who has it |
| --- | --- | --- |
| `Encodes` | a vector for each text | text encoders, two towers |
| `EncodesMedia` | a vector for each image or audio file | two towers |
| `Scores` | a number for each pair of texts | all that encode (by their similarity), pair scorers, rerankers |
| `Predicts` | the log-probability of each item | causal and sequence-to-sequence language models |
| `Generates` | a text for each prompt | the same |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float

    from nearfar.data.media import Medium

__all__ = ["GIVES", "Encodes", "EncodesMedia", "Generates", "Predicts", "Scores"]


class Encodes(ABC):
    """Texts to vectors."""

    @abstractmethod
    def encode(
        self, texts: Sequence[str], *, batch_size: int = 64, kind: Literal["query", "document"] | None = None
    ) -> Float[np.ndarray, "n d"]:
        """The unit vectors of texts, in their order, as float32."""


class EncodesMedia(ABC):
    """Image or audio files to vectors."""

    @property
    @abstractmethod
    def medium(self) -> Medium:
        """What it reads beside texts."""

    @abstractmethod
    def encode_media(self, files: Sequence[Any], *, batch_size: int = 64) -> Float[np.ndarray, "n d"]:
        """The unit vectors of files, in their order, as float32."""


class Scores(ABC):
    """Pairs of texts to numbers; higher: more similar, or more relevant."""

    @abstractmethod
    def score_pairs(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """The score of each pair (first_i, second_i)."""


class Predicts(ABC):
    """How probable a language model finds text."""

    #: The columns that it needs.
    predicts: ClassVar[tuple[str, ...]]

    @abstractmethod
    def log_probability(
        self, rows: Dataset, *, batch_size: int = 8, progress: Callable[[int, int], None] | None = None
    ) -> Float[np.ndarray, " items"]:
        """The mean log-probability of a token in each item, in nats: blocks of documents, or rows."""


class Generates(ABC):
    """Prompts to texts."""

    @abstractmethod
    def generate(self, prompts: Sequence[str], *, max_new_tokens: int = 64, batch_size: int = 8) -> list[str]:
        """The likeliest continuation of (or answer to) each prompt, token by token."""


#: What each ability gives, for messages.
GIVES: dict[type, str] = {
    Encodes: "vectors of texts",
    EncodesMedia: "vectors of image or audio files",
    Scores: "scores of pairs of texts",
    Predicts: "probabilities of texts",
    Generates: "texts",
}
