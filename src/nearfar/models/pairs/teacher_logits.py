"""A teacher's logits for the rows of a run: computed once, and cached on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nearfar.data.files import sha256
from nearfar.data.fingerprint import fingerprint as fingerprint_of_rows
from nearfar.models.cache import user_cache
from nearfar.models.fingerprint import fingerprint as fingerprint_of_model
from nearfar.models.loading import find
from nearfar.models.pairs.head import Kind
from nearfar.models.pairs.teacher import Fit, fit_teacher, load_teacher, logits_of
from nearfar.writing import draft_of

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer


def teacher_logits(
    rows: Dataset,
    targets: Sequence[float],
    kind: Kind,
    outputs: int,
    encoder: SentenceTransformer,
    name: str | Path = "",
    fit: Fit = Fit(),  # noqa: B008 - immutable
) -> Float[Tensor, "n outputs"]:
    """A teacher's logits for every row, in the order of the rows: computed once, then read from `cache_folder()`.

    Args:
        rows: Columns `sentence1` and `sentence2`.
        targets: One target per row, to train a teacher; see `nearfar.losses.distillation.label_loss`.
        kind, outputs: Kind and number of outputs; two classes become one logit if `kind` is binary.
        encoder: Base model of a trained teacher; it is not changed. The teacher runs on the same device.
        name: A folder or Hub ID of a cross-encoder; empty: train one.
        fit: Settings for training a teacher.

    Raises:
        InputError: The cross-encoder does not exist, or its outputs do not match.
    """
    pairs = list(zip(rows["sentence1"], rows["sentence2"], strict=True))
    key: dict[str, object] = {
        "rows": fingerprint_of_rows(rows.select_columns(["sentence1", "sentence2"])),
        "kind": kind,
        "outputs": outputs,
    }
    if name:
        folder = find(name)
        key |= {"teacher": _hash_of_folder(folder), "max_length": fit.max_length}
    else:
        folder = None
        digest = hashlib.sha256(json.dumps(list(targets)).encode()).hexdigest()
        key |= {"fitted_from": fingerprint_of_model(encoder), "targets": digest, **asdict(fit)}

    def compute() -> Tensor:
        if folder is not None:
            teacher = load_teacher(folder, device=str(encoder.device), max_length=fit.max_length)
        else:
            teacher = fit_teacher(encoder, pairs, targets, kind, outputs, fit)
        return logits_of(teacher, pairs, kind, outputs)

    return _kept(key, compute)


def cache_folder() -> Path:
    """The cache folder for teachers' logits."""
    return user_cache() / "teacher"


def _kept(key: dict[str, object], compute: Callable[[], Tensor]) -> Tensor:
    """Cached logits: a resumed run must use the same logits, and a second run need not compute them again."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = cache_folder() / f"{name}.safetensors"
    try:
        return load_file(path)["logits"]
    except (OSError, KeyError, SafetensorError):
        pass  # missing or corrupted
    logits = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(path) as draft:
            save_file({"logits": logits.contiguous()}, draft)
    except (OSError, SafetensorError):
        pass  # an unwritable cache only costs time: the same seed gives the same logits again
    return logits


def _hash_of_folder(folder: Path) -> str:
    files = sorted(file for kind in ("*.safetensors", "*.json") for file in folder.rglob(kind) if file.is_file())
    return hashlib.sha256("".join(f"{file.relative_to(folder)} {sha256(file)};" for file in files).encode()).hexdigest()
