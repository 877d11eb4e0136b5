"""Vectors of the texts of a log, stored in windows so that later and resumed runs reuse them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearfar.writing import draft_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

Progress = Callable[[int, int], None]

WINDOW = 2048
"""Number of texts in one file of the store."""
_PARALLELISM = "TOKENIZERS_PARALLELISM"
_NAME = re.compile(r"[0-9a-f]{32}\.npy")


def vectors_of(
    model: SentenceTransformer,
    texts: Sequence[str],
    *,
    store: Path | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> Float[np.ndarray, "texts d"]:
    """A unit vector for each text, as float16: half the memory, and its precision of 0.001 is enough for clusters.

    Args:
        model: The encoder.
        texts: At least one text.
        store: A folder for finished windows, used if there is more than one. Windows of other texts or models are
            removed from it.
        batch_size: Number of texts in one forward pass.
        progress: Called with (texts done, number of texts) after each window.

    Raises:
        InputError: the model returns NaN or infinity.
    """
    from nearfar.models.encoding import encode
    from nearfar.models.fingerprint import fingerprint

    if len(texts) <= WINDOW:
        store = None
    # Texts of similar length are in one window, and so in one batch: little padding.
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
    identity = fingerprint(model) if store is not None else ""
    found: np.ndarray | None = None
    used: set[str] = set()
    for start in range(0, len(order), WINDOW):
        rows = order[start : start + WINDOW]
        window = [texts[i] for i in rows]
        file = None if store is None else store / f"{_key(identity, window)}.npy"
        vectors = None if file is None else _stored(file, len(window))
        if vectors is None:
            with _few_threads(model):
                vectors = encode(model, window, batch_size=batch_size).astype(np.float16)
            if file is not None:
                _put(file, vectors)
        if found is None:
            found = np.empty((len(texts), vectors.shape[1]), np.float16)
        found[rows] = vectors
        if file is not None:
            used.add(file.name)
        if progress is not None:
            progress(start + len(rows), len(order))
    assert found is not None
    if store is not None:
        _tidy(store, used)
    return found


@contextmanager
def _few_threads(model: SentenceTransformer) -> Iterator[None]:
    """One thread for a model of token vectors without layers of attention.

    Its batches take about a millisecond. Threads that wait for each other take longer than that on a busy machine: ten
    times the CPU time on two cores.
    """
    import torch
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    if not isinstance(next(iter(model.children()), None), StaticEmbedding):
        yield
        return
    before, stated = torch.get_num_threads(), os.environ.get(_PARALLELISM)
    torch.set_num_threads(1)
    os.environ[_PARALLELISM] = "false"
    try:
        yield
    finally:
        torch.set_num_threads(before)
        del os.environ[_PARALLELISM]
        if stated is not None:
            os.environ[_PARALLELISM] = stated


def _key(identity: str, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(identity.encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()[:32]


def _stored(file: Path, count: int) -> np.ndarray | None:
    """A finished window; None if it is missing or corrupted."""
    try:
        vectors = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    good = vectors.dtype == np.float16 and vectors.ndim == 2 and len(vectors) == count and np.isfinite(vectors).all()
    return vectors if good else None


def _put(file: Path, vectors: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with draft_of(file) as draft, draft.open("wb") as stream:
        np.save(stream, vectors)


def _tidy(store: Path, used: set[str]) -> None:
    for file in store.iterdir():
        if _NAME.fullmatch(file.name) and file.name not in used:
            file.unlink()
