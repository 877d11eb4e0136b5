"""Options that every recipe shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.settings import (
    Count,
    Fraction,
    NonNegative,
    Positive,
    Probability,
    Range,
    Whole,
    check_ranges,
    parse_settings,
    with_settings,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "Count",
    "Fraction",
    "LanguageOptions",
    "NonNegative",
    "Positive",
    "Probability",
    "Range",
    "TowerOptions",
    "TrainingOptions",
    "Whole",
    "parse_settings",
    "with_settings",
]


@dataclass(frozen=True)
class TrainingOptions:
    """How long, how large, how fast. A recipe's own dataclass adds its paper's hyper-parameters.

    Args:
        epochs: Passes over the data.
        max_steps: Optimiser steps, whatever the epochs; 0: as the epochs say.
        batch_size: Rows in one step of one process.
        learning_rate: Peak of the linear schedule with warm-up.
        warmup_ratio: Part of all steps in which the learning rate rises.
        weight_decay: AdamW's.
        max_length: Tokens after which a text is cut in training; 0: the model's own limit.
        gradient_accumulation: Batches that share one optimiser step. In-batch negatives stay within a batch.
        precision: Arithmetic of the forward and backward pass.
        save_steps: Steps between checkpoints; 0: a tenth of the run.
        eval_steps: Steps between evaluations on `--eval`; 0: only before and after.
        prompts: What stands before texts in training, of models that read prompts: `model` for the model's own (a first
            column `anchor` has that of queries, the others that of documents), `none`, or a JSON object such as
            `{"query": "query: ", "document": "passage: "}`, also by column. The trained model keeps them.
    """

    epochs: Positive = 1.0
    max_steps: Whole = 0
    batch_size: Annotated[int, Range(least=2)] = 64
    learning_rate: Positive = 2e-5
    warmup_ratio: Fraction = 0.1
    weight_decay: NonNegative = 0.0
    max_length: Whole = 0
    gradient_accumulation: Count = 1
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    save_steps: Whole = 0
    eval_steps: Whole = 0
    prompts: str = "model"

    def __post_init__(self) -> None:
        from nearfar.models.prompts import parse_prompts

        check_ranges(self)
        parse_prompts(self.prompts)


@dataclass(frozen=True)
class TowerOptions(TrainingOptions):
    """Options of recipes that give a text encoder a tower for pictures or recordings.

    Args:
        image_model: The other tower, where rows have pictures: a folder, a hub id, `small-cnn` or `small-vit`. A model
            that has such a tower keeps it.
        audio_model: The same for recordings; `small-audio`.
        image_size: Pixels a side, of the small towers for pictures.
        seconds: How much of a recording `small-audio` hears.
    """

    image_model: str = "small-cnn"
    audio_model: str = "small-audio"
    image_size: Count = 64
    seconds: Count = 4

    def tower(self, medium: Literal["image", "audio"]) -> str:
        """The other tower's name."""
        return self.image_model if medium == "image" else self.audio_model

    def begins_untrained(self, medium: Literal["image", "audio"]) -> bool:
        """Whether the other tower comes without weights."""
        from nearfar.models.towers import SMALL

        return self.tower(medium) in SMALL[medium]

    def add_tower(
        self,
        model: SentenceTransformer,
        medium: Literal["image", "audio"],
        *,
        dims: int | None = None,
        frozen: str | None = None,
    ) -> None:
        """Give a text encoder the other tower, in place; see `nearfar.models.towers.add_tower`."""
        from nearfar.models.towers import add_tower

        sizes = {"image_size": self.image_size, "seconds": self.seconds}
        add_tower(model, medium, self.tower(medium), dims=dims, frozen=frozen, **sizes)


@dataclass(frozen=True)
class LanguageOptions(TrainingOptions):
    """Options of recipes that train a language model.

    Args:
        batch_size: Blocks in one step of one process.
        learning_rate: Peak of the schedule.
        max_length: Tokens of a block.
        schedule: After the warm-up: `cosine` falls to a tenth of the peak, `linear` to 0.
        beta2: AdamW's, of the second moment.
        gradient_clip: Norm to which gradients are cut.
        held_out: Part of the documents (1,000 at most) that is measured on and not trained on, without `--eval`.
    """

    batch_size: Annotated[int, Range(least=2)] = 16
    learning_rate: Positive = 1e-3
    max_length: Annotated[int, Range(least=2)] = 256
    schedule: Literal["cosine", "linear"] = "cosine"
    beta2: Probability = 0.95
    gradient_clip: Positive = 1.0
    held_out: Probability = 0.05
