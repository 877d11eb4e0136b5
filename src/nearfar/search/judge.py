"""Scores of pairs by another model, which judges the documents that an encoder has found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.models.abilities import Encodes
from nearfar.models.encoding import Kind

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.models.stored_arrays import StoredArrays

__all__ = ["Judge"]


class Judge:
    """Scores pairs of a query and a document.

    A cross-encoder's score is that of its `predict`, after its activation function; a guide's, which is an encoder, is
    the cosine; a causal language model's is the logit of "yes" minus that of "no".

    Args:
        model: A model that scores pairs, or its name for `nearfar.kinds.loading.load_scorer`.
        batch_size: Batch size.
        stored: Where scores are stored, so that an interrupted command is resumed.

    Raises:
        InputError: The model does not exist or does not score pairs.
    """

    def __init__(self, model: Any, *, batch_size: int = 64, stored: StoredArrays | None = None) -> None:
        from nearfar.kinds.loading import load_scorer, of

        named = isinstance(model, (str, Path))
        self._scorer: Any = load_scorer(model) if named else of(model)
        self._batch_size, self._stored = batch_size, stored
        self._fingerprint = self._scorer.fingerprint(str(model) if named else None)

    def score(self, queries: Sequence[str], documents: Sequence[str]) -> Float[np.ndarray, " n"]:
        """The score of each pair; higher means more relevant."""
        import numpy as np

        if not queries:
            return np.empty(0, dtype=np.float32)
        if self._stored is None or self._fingerprint is None:
            return self._computed(queries, documents)
        of = ("scores", self._fingerprint, self._batch_size, *queries, *documents)
        return self._stored.get(of, lambda: self._computed(queries, documents), rows=len(queries))

    def _computed(self, queries: Sequence[str], documents: Sequence[str]) -> Float[np.ndarray, " n"]:
        import numpy as np
        import torch

        if isinstance(self._scorer, Encodes):
            sides = []
            both: list[tuple[Sequence[str], Kind]] = [(queries, "query"), (documents, "document")]
            for texts, kind in both:
                place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
                vectors = self._scorer.encode(list(place), batch_size=self._batch_size, kind=kind)
                sides.append(vectors[[place[text] for text in texts]])
            return np.einsum("nd,nd->n", *sides).astype(np.float32)
        scores = self._scorer.score_pairs(queries, documents, batch_size=self._batch_size)
        activation = getattr(self._scorer.host, "activation_fn", None)
        if activation is None:
            return scores
        return activation(torch.from_numpy(scores)).numpy()
