"""A cross-encoder as teacher: an existing one, or one that is first trained on labelled pairs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nearfar.errors import InputError
from nearfar.models.cross_encoder import load_cross_encoder, without_library_notes
from nearfar.models.pairs.head import Kind

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from torch import Tensor


@dataclass(frozen=True)
class Fit:
    """Settings for training a teacher.

    Args:
        epochs, learning_rate, batch_size: As in any training.
        max_length: Maximum length of a pair in tokens; 0: the model's limit.
        precision: Precision, as for the student.
        seed: Random seed of the order of rows, dropout and the new classifier.
    """

    epochs: float = 3.0
    learning_rate: float = 2e-5
    batch_size: int = 32
    max_length: int = 0
    precision: str = "float32"
    seed: int = 0


def load_teacher(name: str | Path, *, device: str | None = None, max_length: int = 0) -> CrossEncoder:
    """Load a cross-encoder from a folder or the Hub, in evaluation mode.

    Raises:
        InputError: The model does not exist, or is an encoder without a classifier.
    """
    teacher = load_cross_encoder(name, device=device, new_head=False, field="teacher")
    _cut(teacher, max_length)
    return teacher


def fit_teacher(
    encoder: SentenceTransformer,
    pairs: Sequence[tuple[str, str]],
    targets: Sequence[float],
    kind: Kind,
    outputs: int,
    fit: Fit = Fit(),
) -> CrossEncoder:
    """Train a cross-encoder on labelled pairs, starting from an encoder's transformer and a new classifier.

    The same seed gives the same teacher; the encoder is not changed.
    """
    from datasets import Dataset
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss, CrossEntropyLoss, MSELoss
    from transformers import PrinterCallback, set_seed

    set_seed(fit.seed)
    with tempfile.TemporaryDirectory() as folder, without_library_notes():
        transformer: Any = getattr(encoder[0], "model", None)
        if not hasattr(transformer, "save_pretrained"):
            raise InputError(
                "no teacher can be trained from this model", field="teacher", remedy="pass a cross-encoder"
            )
        transformer.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
        # Identity, so that `predict` returns logits for any number of labels.
        teacher = CrossEncoder(
            folder,
            num_labels=outputs,
            device=str(encoder.device),
            activation_fn=nn.Identity(),
            trust_remote_code=False,
            local_files_only=True,
        )
    _cut(teacher, fit.max_length)
    losses = {"regression": MSELoss, "binary": BinaryCrossEntropyLoss, "classes": CrossEntropyLoss}
    label = [int(target) for target in targets] if kind == "classes" else [float(target) for target in targets]
    first, second = zip(*pairs, strict=True)
    rows = Dataset.from_dict({"sentence1": list(first), "sentence2": list(second), "label": label})
    with tempfile.TemporaryDirectory() as folder:
        arguments = CrossEncoderTrainingArguments(
            output_dir=folder,
            num_train_epochs=fit.epochs,
            per_device_train_batch_size=fit.batch_size,
            learning_rate=fit.learning_rate,
            warmup_steps=0.1,
            bf16=fit.precision == "bfloat16",
            fp16=fit.precision == "float16",
            use_cpu=encoder.device.type == "cpu",
            dataloader_pin_memory=encoder.device.type == "cuda",
            seed=fit.seed,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = CrossEncoderTrainer(teacher, arguments, rows, loss=losses[kind](teacher))
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return teacher.eval()


def logits_of(
    teacher: CrossEncoder, pairs: Sequence[tuple[str, str]], kind: Kind, outputs: int, batch_size: int = 64
) -> Float[Tensor, "n outputs"]:
    """The teacher's logits, before any sigmoid or softmax, as float32 on the CPU.

    Raises:
        InputError: The number of outputs is wrong, or a logit is NaN or infinite.
    """
    found = teacher.predict(
        list(pairs), activation_fn=nn.Identity(), batch_size=batch_size, show_progress_bar=False, convert_to_tensor=True
    )
    # `predict` uses inference mode, whose tensors cannot be used with autograd.
    logits = torch.as_tensor(found).float().cpu().clone().reshape(len(pairs), -1)
    logits = reduced(logits, kind)
    if logits.shape[1] != outputs:
        raise InputError(
            f"expected {outputs} outputs for these rows, got {logits.shape[1]}",
            field="teacher",
            remedy="pass a cross-encoder for this task, or another kind",
        )
    if not bool(torch.isfinite(logits).all()):
        raise InputError("its logits contain NaN or infinity", field="teacher", remedy="pass another one")
    return logits


def reduced(logits: Float[Tensor, "n c"], kind: Kind) -> Float[Tensor, "n outputs"]:
    """The two classes of a binary teacher as one logit, logit(yes) - logit(no); other logits are unchanged."""
    return logits[:, 1:] - logits[:, :1] if kind == "binary" and logits.shape[1] == 2 else logits


def _cut(teacher: CrossEncoder, max_length: int) -> None:
    if max_length:
        limit = getattr(teacher.config, "max_position_embeddings", None)
        teacher.max_seq_length = min(max_length, limit) if isinstance(limit, int) else max_length
