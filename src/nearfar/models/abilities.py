"""The abilities of models. Evaluation, comparison and commands check for an ability, never for a kind of model.

| ability | output | models |
| --- | --- | --- |
| `Encodes` | a vector for each text | text encoders, two towers, vision-language models |
| `EncodesMedia` | a vector for each image or audio file | two towers, vision-language models |
| `Scores` | a number for each pair of texts | all encoders (by their similarity), pair scorers, rerankers |
| `Classifies` | a number for each label, for each item | classifiers |
| `Predicts` | the log-probability of each item | causal, sequence-to-sequence and vision-language models |
| `Generates` | a text for each prompt | the same |
| `Describes` | a text for texts and images in turn | vision-language models |
| `Conditions` | a target text for each source text, and the loss of one | the same |
| `Continues` | the probabilities of the next token | causal language models |
| `ExposesStates` | the states of each token by layer, and the head | causal language models |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from nearfar.data.media import Medium
    from nearfar.data.utterances import Utterance
    from nearfar.models.chat import Prompt
    from nearfar.models.head import StatesAndHead

__all__ = [
    "GIVES",
    "Classifies",
    "Conditions",
    "Continues",
    "Describes",
    "Encodes",
    "EncodesMedia",
    "ExposesStates",
    "Generates",
    "Predicts",
    "Scores",
]


class Encodes(ABC):
    """Texts to vectors."""

    @abstractmethod
    def encode(
        self, texts: Sequence[str], *, batch_size: int = 64, kind: Literal["query", "document"] | None = None
    ) -> Float[np.ndarray, "n d"]:
        """The unit vectors of texts, in their order, as float32."""

    def comparable(
        self, texts: Sequence[str], *, batch_size: int = 64, kind: Literal["query", "document"] | None = None
    ) -> Float[Tensor, "n d"]:
        """The vectors that `similarity` compares, as float32: those of `encode`, unless the model compares others."""
        import torch

        return torch.from_numpy(self.encode(texts, batch_size=batch_size, kind=kind))

    def similarity(self, a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """The similarity of each of a with each of b; cosines, unless the model has another measure."""
        return a @ b.T


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

    def score_relevance(
        self, queries: Sequence[str], documents: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, " n"]:
        """The score of each pair (query_i, document_i); encoders read each with the prompt of its side."""
        return self.score_pairs(queries, documents, batch_size=batch_size)

    def score_matrix(
        self, first: Sequence[str], second: Sequence[str], *, batch_size: int = 64
    ) -> Float[np.ndarray, "n m"]:
        """The score of each of n first texts with each of m second ones."""
        import numpy as np

        rows = [self.score_pairs([text] * len(second), second, batch_size=batch_size) for text in first]
        return np.stack(rows)

    def scorer_against(
        self, second: Sequence[str], *, batch_size: int = 64
    ) -> Callable[[Sequence[str]], Float[np.ndarray, "n m"]]:
        """A function that returns `score_matrix` of first texts with these second ones, for many calls."""
        return lambda first: self.score_matrix(first, second, batch_size=batch_size)

    def probabilities(self, scores: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"] | None:
        """The probability that a pair belongs together, of scores that are logits; None of others, such as cosines."""
        return None


class Classifies(ABC):
    """Texts, or image or audio files, to one of the labels that the model knows."""

    @property
    @abstractmethod
    def labels(self) -> list[str]:
        """The labels, in the order of the scores."""

    @property
    @abstractmethod
    def medium(self) -> Medium | None:
        """The medium of the items; None: they are texts."""

    @abstractmethod
    def label_scores(self, items: Sequence[Any], *, batch_size: int = 64) -> Float[np.ndarray, "n labels"]:
        """A number for each item and label; the prediction is the label with the highest one."""

    def probabilities(self, scores: Float[np.ndarray, "n labels"]) -> Float[np.ndarray, "n labels"] | None:
        """The probability of each label, which sum to 1 for each item; None if the scores have no such meaning."""
        return None

    def understood(self, items: Sequence[Any], *, batch_size: int = 64) -> list[Utterance] | None:
        """What a model that also writes transcripts writes about audio files; None if it writes none."""
        return None


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


class Describes(ABC):
    """Texts and images in turn, each `{"text": ...}` or `{"image": ...}`, to the text that follows."""

    #: The tokenizer.
    tokenizer: Any

    @abstractmethod
    def describe(
        self, prompts: Sequence[Sequence[Mapping[str, Any]]], *, max_new_tokens: int = 64, batch_size: int = 8
    ) -> list[str]:
        """The greedy continuation of each prompt."""

    @property
    @abstractmethod
    def language_model(self) -> Any:
        """The causal language model of transformers that writes, in evaluation mode."""

    @abstractmethod
    def generation(
        self, prompts: Sequence[Sequence[Mapping[str, Any]]]
    ) -> tuple[dict[str, Any], AbstractContextManager[None]]:
        """Arguments of `language_model.generate` for a batch of prompts, and the context in which it sees them."""

    @abstractmethod
    def prompt_length(self, parts: Sequence[Mapping[str, Any]]) -> int:
        """The number of positions that a prompt takes."""


class Conditions(ABC):
    """Source texts to target texts, such as questions to answers or rationales: their losses, and samples.

    Targets are tokens of the model, with its end token.
    """

    #: A transformers model, and its tokenizer.
    model: Any
    tokenizer: Any

    @property
    def prefixes(self) -> Mapping[str, str]:
        """What precedes a source, for each task that the model was trained for; in the config, as T5 does."""
        tasks = getattr(self.model.config, "task_specific_params", None) or {}
        return {name: str(task.get("prefix", "")) for name, task in tasks.items()}

    @prefixes.setter
    def prefixes(self, prefixes: Mapping[str, str]) -> None:
        self.model.config.task_specific_params = {name: {"prefix": prefix} for name, prefix in prefixes.items()}

    @property
    @abstractmethod
    def reader(self) -> Any:
        """The module that turns `input_ids` and `attention_mask` into `last_hidden_state`."""

    @abstractmethod
    def prompt(self, source: str) -> Prompt:
        """A source text in the format of training."""

    @abstractmethod
    def generation_inputs(self, sources: Sequence[Int[Tensor, " t"]]) -> tuple[dict[str, Tensor], int]:
        """Arguments of `generate` for sources as tokens, and how many positions of its result are not new."""

    @abstractmethod
    def positions(self, source: int, new: int) -> int:
        """The positions that the model needs for so many tokens of a source and so many new ones."""

    @abstractmethod
    def target_tokens(self, texts: Sequence[str]) -> list[Int[Tensor, " t"]]:
        """Target texts as tokens, with the end token."""

    @abstractmethod
    def pair_tokens(
        self, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]]
    ) -> tuple[Int[Tensor, "m t"], Bool[Tensor, "m t"]]:
        """Each source followed by its target, padded, and where there is a token; on the model's device."""

    @abstractmethod
    def target_losses(
        self, model: Any, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]], owners: Sequence[int]
    ) -> Float[Tensor, " m"]:
        """The mean negative log-likelihood per token of each target, given `sources[owners[j]]`; can be differentiated.

        Args:
            model: The model, perhaps wrapped by a trainer.
            sources: Source texts.
            targets: Target tokens.
            owners: The source of each target.
        """

    @abstractmethod
    def sample_targets(
        self,
        sources: Sequence[str],
        *,
        temperature: float = 0.0,
        max_new_tokens: int = 64,
        seed: int = 0,
        batch_size: int = 64,
    ) -> list[Int[Tensor, " t"]]:
        """A target for each source, with the end token if it was reached; temperature 0 is greedy decoding.

        The random generators and the mode of the model are the same afterwards.
        """

    @abstractmethod
    def target_texts(self, targets: Sequence[Int[Tensor, " t"]]) -> list[str]:
        """Target tokens as texts, without special tokens."""


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
    Classifies: "labels of its own",
    Predicts: "probabilities of texts",
    Generates: "texts",
    Describes: "texts about images",
    Conditions: "target texts for source texts",
    Continues: "probabilities of the next token",
    ExposesStates: "states of tokens",
}
