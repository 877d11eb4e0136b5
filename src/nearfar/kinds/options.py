"""Options shared by all recipes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nearfar.errors import InputError
from nearfar.settings import (
    Count,
    Fraction,
    NonNegative,
    Positive,
    Probability,
    Range,
    Whole,
    check_ranges,
    from_options,
    parse_settings,
    parse_sizes,
    with_settings,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "ContrastOptions",
    "Count",
    "Fraction",
    "LanguageOptions",
    "NewLanguageOptions",
    "NonNegative",
    "Positive",
    "Probability",
    "Range",
    "RehearsalOptions",
    "SequenceOptions",
    "TowerOptions",
    "TrainingOptions",
    "Whole",
    "from_options",
    "parse_settings",
    "parse_sizes",
    "with_settings",
]


@dataclass(frozen=True)
class TrainingOptions:
    """Training options. A recipe's own dataclass adds the hyper-parameters of its paper.

    Args:
        epochs: Passes over the data.
        max_steps: Number of optimiser steps, which overrides `epochs`; 0: use `epochs`.
        batch_size: Batch size per process.
        learning_rate: Peak learning rate of the linear schedule with warm-up.
        warmup_ratio: Fraction of all steps used for warm-up.
        weight_decay: Weight decay of AdamW.
        max_length: Maximum sequence length in training, in tokens (longer texts are truncated); 0: the model's limit.
        gradient_accumulation: Batches per optimiser step. In-batch negatives come from the same batch.
        precision: Precision of the forward and backward pass.
        mini_batch_num_tokens: Maximum number of tokens in one forward pass within a step. The texts of a batch are
            sorted by length, so fewer tokens mean less padding, and other draws of dropout; 0: by device (on a CPU
            2,048, for a reranker 256).
        workers: Processes that load batches ahead of the training step: they tokenise texts, and read and decode files;
            0: none. The result is the same.
        gradient_checkpointing: Keep only the inputs of each layer of transformers models in the forward pass, and
            compute the rest again in the backward pass: less memory, at the cost of time.
        save_steps: Steps between checkpoints; 0: a tenth of all steps.
        eval_steps: Steps between evaluations on `--eval`; 0: only before and after. With `early_stopping` or
            `checkpoint=best` those on validation rows, and 0: a tenth of all steps.
        prompts: What stands before texts in training, of models that read prompts: `model` for the model's own (a first
            column `anchor` has that of queries, the others that of documents), `none`, or a JSON object such as
            `{"query": "query: ", "document": "passage: "}`, also by column. The trained model keeps them.
        early_stopping: Number of evaluations on validation rows without improvement after which a stage ends; 0: none.
        checkpoint: The checkpoint that becomes the model: the `last`, or the `best` on validation rows.
        validation_share: Fraction of the training rows that is held out as validation rows, for `early_stopping` and
            `checkpoint=best` without `--validation`.
        pooling: How the vectors of tokens become that of a text; `own`: as the model says, and for a causal language
            model `last`, the state at an end token that is appended to each text. The trained model keeps it.
        lora_rank: Rank of a LoRA on the linear layers of the base model, whose weights are then frozen; parts that the
            recipe adds are trained in full. 0: train all weights.
        lora_alpha: The update of a LoRA is multiplied with alpha / rank; 0: twice the rank.
        lora_dropout: Probability of dropout before the update.
        lora_targets: Names of the layers that get a LoRA, separated by commas, such as `query,value`; empty: all linear
            layers below the head.
        lora_merge: Add the LoRA to the weights after training, so that the saved model needs neither `peft` nor the
            base model; otherwise the saved model is an adapter that names its base model.
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
    mini_batch_num_tokens: Whole = 0
    workers: Whole = 0
    gradient_checkpointing: bool = False
    save_steps: Whole = 0
    eval_steps: Whole = 0
    prompts: str = "model"
    early_stopping: Whole = 0
    checkpoint: Literal["last", "best"] = "last"
    validation_share: Annotated[float, Range(above=0, below=1)] = 0.1
    pooling: Literal["own", "cls", "mean", "max", "last"] = "own"
    lora_rank: Whole = 0
    lora_alpha: NonNegative = 0.0
    lora_dropout: Probability = 0.0
    lora_targets: str = ""
    lora_merge: bool = False

    @property
    def follows(self) -> bool:
        """Whether validation rows decide when to stop, or which checkpoint becomes the model."""
        return bool(self.early_stopping) or self.checkpoint == "best"

    def __post_init__(self) -> None:
        from nearfar.models.prompts import parse_prompts

        check_ranges(self)
        parse_prompts(self.prompts)


@dataclass(frozen=True)
class ContrastOptions(TrainingOptions):
    """Options of recipes whose loss is a softmax over the candidates of a batch.

    Args:
        temperature: tau, the temperature of the softmax.
        cached: Gradient cache: batches of thousands on little memory, at the cost of a second forward pass.
    """

    temperature: Positive = 0.05
    cached: bool = False

    @property
    def contrast(self) -> dict[str, Any]:
        """Arguments of `nearfar.losses.ContrastLoss`: these options, and candidates from all processes."""
        return {"temperature": self.temperature, "cached": self.cached, "gather_across_devices": True}


@dataclass(frozen=True)
class TowerOptions(TrainingOptions):
    """Options of recipes that add a tower for images or audio to a text encoder.

    Args:
        image_model: Image tower for rows with images: a folder, a Hub ID, `small-cnn` or `small-vit`. A model that
            already has an image tower keeps it.
        audio_model: Audio tower for rows with audio: a folder, a Hub ID, `small-audio`, or `whisper-tiny`, the
            pre-trained encoder of Whisper tiny.en (extra `speech`).
        image_size: Width and height of images in pixels, for the small image towers.
        seconds: Seconds of audio that `small-audio` and `whisper-tiny` use, from the beginning of each file; up to 30.
    """

    image_model: str = "small-cnn"
    audio_model: str = "small-audio"
    image_size: Count = 64
    seconds: Count = 4

    def tower(self, medium: Literal["image", "audio"]) -> str:
        """The name of the tower for `medium`."""
        return self.image_model if medium == "image" else self.audio_model

    def begins_untrained(self, model: SentenceTransformer, medium: Literal["image", "audio"] | None) -> bool:
        """Whether `add_tower` gives this model a tower with random weights."""
        from nearfar.models.towers import SMALL, medium_of

        return medium is not None and medium_of(model) is None and self.tower(medium) in SMALL[medium]

    def add_tower(
        self,
        model: SentenceTransformer,
        medium: Literal["image", "audio"] | None,
        *,
        dims: int | None = None,
        frozen: str | None = None,
    ) -> bool:
        """Add the tower for `medium` to a text encoder, in place; see `nearfar.models.towers.add_tower`.

        Returns:
            False if there is nothing to add: rows without files (`medium` is None), or a model with such a tower.
        """
        from nearfar.models.towers import add_tower, medium_of

        if medium is None or medium_of(model) is not None:
            return False
        sizes = {"image_size": self.image_size, "seconds": self.seconds}
        add_tower(model, medium, self.tower(medium), dims=dims, frozen=frozen, **sizes)
        return True


@dataclass(frozen=True)
class RehearsalOptions(TrainingOptions):
    """Options of recipes on streams of tasks that train on some rows of earlier tasks again.

    Args:
        memory_per_class: Rehearsed rows of each label; 0: as `memory_size` says.
        memory_size: Rehearsed rows of all labels, divided by the number of labels; 0: as `memory_share` says.
        total_labels: Number of labels that `memory_size` is divided by; 0: all labels of the stream.
        memory_share: Fraction of the rows of each label that is rehearsed; 0: none.
        selection: Which rows of a label are rehearsed: `random`, or those that keep its mean (`herding`).
        rehearsal_share: Share of rehearsed rows in each batch; 0: mixed with the new rows, each once per epoch.
        keep: What the run folder contains of rehearsed rows; `features`: only vectors, which are rehearsed instead of
            the rows; `nothing`: their number.
    """

    memory_per_class: Whole = 0
    memory_size: Whole = 0
    total_labels: Whole = 0
    memory_share: Fraction = 0.01
    selection: Literal["random", "herding"] = "random"
    rehearsal_share: Probability = 0.0
    keep: Literal["rows", "features", "nothing"] = "rows"

    @property
    def grows(self) -> str | None:
        """See `Plan.grows`: tasks can be added, unless the number of rehearsed rows depends on the labels of all."""
        by_all_labels = self.memory_size and not self.memory_per_class and not self.total_labels
        return None if by_all_labels else "stream"


@dataclass(frozen=True)
class SequenceOptions(TrainingOptions):
    """Options of recipes that can add a decoder, which writes label, slots and transcript of audio files.

    Args:
        decoder_layers: Layers of the decoder; 0: no decoder.
        vocabulary: Number of tokens of the byte-level BPE that is learned from the first task.
        sequence_weight: Weight of the decoder's negative log-likelihood per token.
        distil_beams: Beams of sequence distillation: the decoder learns for rehearsed files what it wrote about them
            before the task; 0: no distillation, it learns their own targets.
    """

    decoder_layers: Whole = 0
    vocabulary: int = 1000
    sequence_weight: Positive = 1.0
    distil_beams: Whole = 0


@dataclass(frozen=True)
class LanguageOptions(TrainingOptions):
    """Options of recipes that train a language model.

    Args:
        batch_size: Blocks per batch and process.
        learning_rate: Peak learning rate.
        max_length: Tokens per block.
        schedule: Learning rate after the warm-up: `cosine` decays to a tenth of the peak, `linear` to 0.
        beta2: AdamW's beta2 (decay of the second moment).
        gradient_clip: Maximum gradient norm.
        held_out: Fraction of the documents (at most 1,000) held out for evaluation if there is no `--eval`.
    """

    batch_size: Annotated[int, Range(least=2)] = 16
    learning_rate: Positive = 1e-3
    max_length: Annotated[int, Range(least=2)] = 256
    schedule: Literal["cosine", "linear"] = "cosine"
    beta2: Probability = 0.95
    gradient_clip: Positive = 1.0
    held_out: Probability = 0.05


@dataclass(frozen=True)
class NewLanguageOptions(LanguageOptions):
    """Options of recipes that train a new language model, and its shape if no model is named.

    Args:
        hidden_size, layers, heads, intermediate_size: Shape of a new LLaMA; intermediate_size 0: 8/3 of the width.
        vocabulary: Number of tokens of the byte-level BPE that is learned from the data.
    """

    hidden_size: Annotated[int, Range(least=2)] = 256
    layers: Count = 4
    heads: Count = 4
    intermediate_size: Whole = 0
    vocabulary: int = 8192

    def check_unused(self, model: str | None) -> None:
        """Check that no shape is given where that of a model is used.

        Args:
            model: The model whose configuration and tokenizer are used; None: a new LLaMA of this shape.

        Raises:
            InputError: An option of the shape has no effect.
        """
        for name in ("hidden_size", "layers", "heads", "intermediate_size", "vocabulary") if model is not None else ():
            if getattr(self, name) != getattr(NewLanguageOptions(), name):
                problem = "has no effect with a model, whose configuration and tokenizer are used"
                raise InputError(problem, field=name, remedy=f"remove {name}, or --model")
