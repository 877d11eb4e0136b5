"""Options that every recipe shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.settings import check_range, parse_settings, with_settings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["LanguageOptions", "TowerOptions", "TrainingOptions", "check_range", "parse_settings", "with_settings"]


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
    """

    epochs: float = 1.0
    max_steps: int = 0
    batch_size: int = 64
    learning_rate: float = 2e-5
    warmup_ratio: float = 0.1
    weight_decay: float = 0.0
    max_length: int = 0
    gradient_accumulation: int = 1
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    save_steps: int = 0
    eval_steps: int = 0

    def __post_init__(self) -> None:
        check_range(
            self, "max_steps", "warmup_ratio", "weight_decay", "max_length", "save_steps", "eval_steps", least=0
        )
        check_range(self, "gradient_accumulation", least=1)
        check_range(self, "batch_size", least=2)
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"{self.learning_rate} is no learning rate", field="learning_rate", remedy="use e.g. 2e-5")
        if not 0 < self.epochs < float("inf"):
            raise InputError(f"{self.epochs} is no number of passes", field="epochs", remedy="use e.g. 1")
        if not self.warmup_ratio <= 1:
            raise InputError(f"{self.warmup_ratio} is no part of a run", field="warmup_ratio", remedy="use 0 to 1")
        temperature = getattr(self, "temperature", 1.0)
        if not 0 < temperature < float("inf"):
            raise InputError(f"{temperature} is no temperature", field="temperature", remedy="use e.g. 0.05")


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
    image_size: int = 64
    seconds: int = 4

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

    batch_size: int = 16
    learning_rate: float = 1e-3
    max_length: int = 256
    schedule: Literal["cosine", "linear"] = "cosine"
    beta2: float = 0.95
    gradient_clip: float = 1.0
    held_out: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 2:
            raise InputError(f"{self.max_length} tokens hold no next token", field="max_length", remedy="use e.g. 256")
        check_range(self, "beta2", "held_out", least=0, below=1)
        if not 0 < self.gradient_clip < float("inf"):
            raise InputError(f"{self.gradient_clip} is no norm", field="gradient_clip", remedy="use e.g. 1")
