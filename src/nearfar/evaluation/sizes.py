"""Measuring the smaller encoders inside an encoder: each number of layers with each number of dimensions."""

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
    """What was found at each size.

    Args:
        layers: The depths, shallowest first; None stands for all layers.
        dims: The widths, narrowest first.
        results: By (layers, dims).
        seconds: By depth: encoding every text once, with the layers above gone.
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
        """The primary metric: a row for each depth, a column for each width."""
        return [[self.results[n, d].score for d in self.dims] for n in self.layers]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers must know, each note once."""
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
    """Measure a model cut to each of some numbers of layers and dimensions, as `evaluate` measures it whole.

    Each depth runs its own layers alone and encodes every text once: the narrower vectors are prefixes of the wide
    ones. The vectors of all texts are in memory at full width for that.

    Args:
        model: The encoder; it stays as it is.
        data: As for `evaluate`.
        layers: Depths; all layers when None, which suits any model.
        dims: Widths; the full one alone when None.
        task, train, batch_size, seed: As for `evaluate`.

    Raises:
        InputError: A size that the model does not have, and whatever `evaluate` refuses.
    """
    if isinstance(data, (str, Path)):
        from nearfar.evaluation.rows import load_for_evaluation

        data = load_for_evaluation(data)
    widest = model.get_embedding_dimension() or 0
    widths = sorted(set(dims or (widest,)))
    encoders = {n: truncated(model, n, widest) for n in (sorted(set(layers)) if layers else (None,))}
    for d in widths:
        truncated(model, None, d)  # refuses a width out of range before anything is encoded
    results, seconds = {}, {}
    for n, encoder in encoders.items():
        once = _Once(encoder)
        for d in widths:
            with encoder.truncate_embeddings(d):
                results[n, d] = evaluate(encoder, data, task, train=train, batch_size=batch_size, seed=seed)
        seconds[n] = once.seconds
    return Sizes(tuple(encoders), tuple(widths), results, seconds)


class _Once:
    """Takes the place of a model's `encode`: each list of texts is embedded once, and each width is a prefix of that.

    Args:
        model: A model that nobody else uses.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        self.model, self.encode = model, model.encode
        self.found: dict[Any, Any] = {}
        self.seconds = 0.0
        # Hides the method from whoever encodes with this model.
        vars(model)["encode"] = self

    def __call__(
        self, inputs: Sequence[str], *, truncate_dim: int | None = None, normalize_embeddings: bool = False, **how: Any
    ) -> Any:
        """As sentence-transformers' `encode`."""
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
