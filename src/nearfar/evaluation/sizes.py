"""Evaluation of an encoder truncated to fewer layers and dimensions, for each combination of both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer

from nearfar.evaluation.dispatch import evaluate
from nearfar.evaluation.result import Result
from nearfar.models.elastic import truncated

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data.retrieval import Retrieval


@dataclass(frozen=True)
class Sizes:
    """The results at each size.

    Args:
        layers: Numbers of layers, smallest first; None means all layers.
        dims: Numbers of dimensions, smallest first.
        results: Results by (layers, dims).
        seconds: Seconds to encode every text once, by number of layers, without the layers above.
    """

    layers: tuple[int | None, ...]
    dims: tuple[int, ...]
    results: dict[tuple[int | None, int], Result]
    seconds: dict[int | None, float]

    @property
    def primary(self) -> str:
        """The metric of `scores`."""
        return self.results[self.layers[0], self.dims[0]].primary

    @property
    def scores(self) -> list[list[float]]:
        """The primary metric: a row for each number of layers, a column for each number of dimensions."""
        return [[self.results[n, d].score for d in self.dims] for n in self.layers]

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for readers of the results, each of them once."""
        return tuple(dict.fromkeys(note for result in self.results.values() for note in result.notes))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; an undefined score (NaN) becomes None."""
        first = self.results[self.layers[0], self.dims[0]]
        return {
            "task": first.task,
            "primary": self.primary,
            "n": first.n,
            "layers": list(self.layers),
            "dims": list(self.dims),
            "scores": [[None if isnan(score) else score for score in row] for row in self.scores],
            "encoding_seconds": [self.seconds[n] for n in self.layers],
            "notes": list(self.notes),
        }


def evaluate_sizes(
    model: SentenceTransformer,
    data: Dataset | Retrieval | str | Path,
    layers: Sequence[int] | None = None,
    dims: Sequence[int] | None = None,
    task: str | None = None,
    *,
    train: Dataset | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> Sizes:
    """Evaluate a model truncated to several numbers of layers and dimensions, with the same tasks as `evaluate`.

    For each number of layers, every text is encoded once, without the layers above; vectors with fewer dimensions are
    prefixes of the full vectors. The full vectors of all texts are kept in memory.

    Args:
        model: The encoder; it is not changed.
        data: As for `evaluate`.
        layers: Numbers of layers; by default all layers, which works for any model.
        dims: Numbers of dimensions; by default only the full number.
        task, train, batch_size, seed: As for `evaluate`.

    Raises:
        InputError: The model does not have such a size, or `evaluate` raises it.
    """
    if isinstance(data, (str, Path)):
        from nearfar.evaluation.rows import load_for_evaluation

        data = load_for_evaluation(data)
    widest = model.get_embedding_dimension() or 0
    widths = sorted(set(dims or (widest,)))
    encoders = {n: truncated(model, n, widest) for n in (sorted(set(layers)) if layers else (None,))}
    for d in widths:
        truncated(model, None, d)  # raises an error for an invalid number of dimensions before anything is encoded
    results, seconds = {}, {}
    for n, encoder in encoders.items():
        once = _Once(encoder)
        for d in widths:
            with encoder.truncate_embeddings(d):
                results[n, d] = evaluate(encoder, data, task, train=train, batch_size=batch_size, seed=seed)
        seconds[n] = once.seconds
    return Sizes(tuple(encoders), tuple(widths), results, seconds)


class _Once:
    """Replaces a model's `encode`: each list of texts is encoded once, and prefixes of the vectors are returned.

    Args:
        model: A model that is not used elsewhere.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        self.model, self.encode = model, model.encode
        self.found: dict[Any, Any] = {}
        self.seconds = 0.0
        # Replaces the method for all callers that encode with this model.
        vars(model)["encode"] = self

    def __call__(
        self, inputs: Sequence[str], *, truncate_dim: int | None = None, normalize_embeddings: bool = False, **how: Any
    ) -> Any:
        """Like `encode` of sentence-transformers."""
        key = (tuple(inputs), repr(sorted(how.items())))
        if key not in self.found:
            started = time.perf_counter()
            with self.model.truncate_embeddings(None):
                self.found[key] = self.encode(inputs, **how)
            self.seconds += time.perf_counter() - started
        vectors = self.found[key][:, : truncate_dim or self.model.truncate_dim]
        if not normalize_embeddings:
            return vectors
        unit = F.normalize(torch.as_tensor(vectors), dim=1)
        return unit if isinstance(vectors, torch.Tensor) else unit.numpy()
