"""A cross-encoder as teacher: one that exists, or one that is fitted on labelled pairs first."""

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
    """How a teacher is fitted.

    Args:
        epochs, learning_rate, batch_size: As in any training.
        max_length: Tokens of a pair; 0: the model's own limit.
        precision: Arithmetic, as for the student.
        seed: Decides order, dropout and the new classifier.
    """

    epochs: float = 3.0
    learning_rate: float = 2e-5
    batch_size: int = 32
    max_length: int = 0
    precision: str = "float32"
    seed: int = 0


def load_teacher(name: str | Path, *, device: str | None = None, max_length: int = 0) -> CrossEncoder:
    """A cross-encoder from a folder or the hub, in evaluation mode.

    Raises:
        InputError: there is none, or it is an encoder without a classifier.
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
    """Fit a cross-encoder on labelled pairs, starting from an encoder's transformer and a new classifier.

    The same seed gives the same teacher; the encoder is left as it is.
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
            raise InputError("no teacher can be fitted from this model", field="teacher", remedy="name a cross-encoder")
        transformer.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
        # Identity, so that `predict` gives logits whatever the number of labels.
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
        InputError: another number of outputs than wanted, NaN or infinity.
    """
    found = teacher.predict(
        list(pairs), activation_fn=nn.Identity(), batch_size=batch_size, show_progress_bar=False, convert_to_tensor=True
    )
    # `predict` computes in inference mode, whose tensors autograd refuses.
    logits = torch.as_tensor(found).float().cpu().clone().reshape(len(pairs), -1)
    logits = reduced(logits, kind)
    if logits.shape[1] != outputs:
        raise InputError(
            f"it has {logits.shape[1]} outputs, and these rows need {outputs}",
            field="teacher",
            remedy="pass a cross-encoder for this task, or another kind",
        )
    if not bool(torch.isfinite(logits).all()):
        raise InputError("its logits hold NaN or infinity", field="teacher", remedy="pass another one")
    return logits


def reduced(logits: Float[Tensor, "n c"], kind: Kind) -> Float[Tensor, "n outputs"]:
    """Two classes of a binary teacher as one logit, that of yes less that of no; all else as it is."""
    return logits[:, 1:] - logits[:, :1] if kind == "binary" and logits.shape[1] == 2 else logits


def _cut(teacher: CrossEncoder, max_length: int) -> None:
    if max_length:
        limit = getattr(teacher.config, "max_position_embeddings", None)
        teacher.max_seq_length = min(max_length, limit) if isinstance(limit, int) else max_length
