"""Vectors of the texts of a log, stored in windows so that later and resumed runs reuse them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearfar.models.stored_arrays import StoredArrays

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

Progress = Callable[[int, int], None]

WINDOW = 2048
"""Number of texts in one file of the store."""


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
    from nearfar.models.threads import few_threads

    stored = None if store is None or len(texts) <= WINDOW else StoredArrays(store)
    # Texts of similar length are in one window, and so in one batch: little padding.
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
    identity = "" if stored is None else fingerprint(model)
    found: np.ndarray | None = None
    for start in range(0, len(order), WINDOW):
        rows = order[start : start + WINDOW]
        window = [texts[i] for i in rows]

        def make(window: list[str] = window) -> np.ndarray:
            with few_threads(model):
                return encode(model, window, batch_size=batch_size).astype(np.float16)

        vectors = make() if stored is None else stored.get(("float16", identity, *window), make, rows=len(rows))
        if found is None:
            found = np.empty((len(texts), vectors.shape[1]), np.float16)
        found[rows] = vectors
        if progress is not None:
            progress(start + len(rows), len(order))
    assert found is not None
    if stored is not None:
        stored.remove_unused()
    return found
