"""The abilities of models. Evaluation, comparison and commands check for an ability, never for a kind of model.

| ability | output | models |
| --- | --- | --- |
| `Encodes` | a vector for each text | text encoders, two towers |
| `EncodesMedia` | a vector for each image or audio file | two towers |
| `Scores` | a number for each pair of texts | all encoders (by their similarity), pair scorers, rerankers |
| `Predicts` | the log-probability of each item | causal and sequence-to-sequence language models |
| `Generates` | a text for each prompt | the same |
| `Continues` | the probabilities of the next token | causal language models |
| `ExposesStates` | the states of each token by layer, and the head | causal language models |
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
    from nearfar.models.head import StatesAndHead

__all__ = ["GIVES", "Continues", "Encodes", "EncodesMedia", "ExposesStates", "Generates", "Predicts", "Scores"]


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
        """The medium that the model encodes besides texts."""

    @abstractmethod
    def encode_media(self, files: Sequence[Any], *, batch_size: int = 64) -> Float[np.ndarray, "n d"]:
        """The unit vectors of files, in their order, as float32."""


class Scores(ABC):
    """Pairs of texts to numbers; a higher number means more similar or more relevant."""

    @abstractmethod
    def score_pairs(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """The score of each pair (first_i, second_i)."""


class Predicts(ABC):
    """Texts to probabilities, by a language model."""

    #: The required columns; and other columns that it can predict instead, on request or after training on them.
    predicts: ClassVar[tuple[str, ...]]
    predicts_also: ClassVar[tuple[tuple[str, ...], ...]] = ()

    @abstractmethod
    def log_probability(
        self, rows: Dataset, *, batch_size: int = 8, progress: Callable[[int, int], None] | None = None
    ) -> Float[np.ndarray, " items"]:
        """The mean log-probability per token of each item (a block of documents, or a row), in nats."""


class Generates(ABC):
    """Prompts to texts."""

    @abstractmethod
    def generate(self, prompts: Sequence[str], *, max_new_tokens: int = 64, batch_size: int = 8) -> list[str]:
        """The greedy continuation of (or answer to) each prompt."""


class Continues(ABC):
    """A text to the probabilities of its next token, by which continuations are scored and decoded."""

    @abstractmethod
    def language_model(self) -> tuple[Any, Any]:
        """The causal language model of transformers, in evaluation mode, and its tokenizer."""


class ExposesStates(ABC):
    """Texts to the states of each layer, and the head that predicts the next token from the last ones."""

    @abstractmethod
    def tokens(self, text: str, most: int) -> tuple[list[int], list[int]]:
        """The first `most` tokens of a text, and the character after which each ends.

        Raises:
            InputError: The tokenizer does not know the characters of its tokens.
        """

    @abstractmethod
    def states(self, tokens: Sequence[int]) -> StatesAndHead:
        """The states of each token: of the embeddings, of each layer but the last, and the input of the head."""


#: The output of each ability, for messages.
GIVES: dict[type, str] = {
    Encodes: "vectors of texts",
    EncodesMedia: "vectors of image or audio files",
    Scores: "scores of pairs of texts",
    Predicts: "probabilities of texts",
    Generates: "texts",
    Continues: "probabilities of the next token",
    ExposesStates: "states of tokens",
}
