"""The same measures after each layer of a model, and at smaller widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.inspection.measuring import measure
from nearfar.inspection.source import Step, encode_sides

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

    from nearfar.inspection.sample import Sample

#: Maximum number of depths where none are given.
MOST_LAYERS = 12
_LEAST_DIMS = 8


@dataclass(frozen=True)
class AtSize:
    """What was measured at one size.

    Args:
        layers: Number of layers; None: all.
        dims: Number of dimensions.
        measures: As in `Measured`.
    """

    layers: int | None
    dims: int
    measures: dict[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"layers": self.layers, "dims": self.dims, **self.measures}


def default_dims(width: int) -> list[int]:
    """Powers of two from 8 up to a width, and the width."""
    dims = []
    size = _LEAST_DIMS
    while size < width:
        dims.append(size)
        size *= 2
    return [*dims, width]


def check_sizes(sizes: Sequence[int] | None, most: int, field: str) -> None:
    """Raise an InputError unless all sizes are from 1 to `most`."""
    for size in sizes or ():
        if not 1 <= size <= most:
            raise InputError(f"expected 1 to {most}, got {size}", field=field, remedy=f"the model has {most}")


def by_dims(
    sample: Sample, vectors: tuple[Float[np.ndarray, "n d"], ...], dims: Sequence[int] | None, seed: int = 0
) -> list[AtSize]:
    """Measure prefixes of vectors, each rescaled to length 1.

    Args:
        sample: What is measured.
        vectors: Unit vectors at full width.
        dims: Widths; `default_dims` when None.
        seed: As for `measure`.

    Raises:
        InputError: more dimensions than the vectors have.
    """
    width = vectors[0].shape[1]
    check_sizes(dims, width, "dims")
    return [
        AtSize(None, d, measure(sample, tuple(_prefix(part, d) for part in vectors), seed).measures)
        for d in sorted(set(dims or default_dims(width)))
    ]


def depths_of(model: SentenceTransformer, layers: Sequence[int] | None) -> list[int]:
    """The depths to measure at: the given ones; by default all, or about twelve of a deep model, including the last.

    Raises:
        InputError: the model has no single stack of layers, or fewer layers.
    """
    from nearfar.models.elastic import depth

    if layers is not None and not layers:
        return []
    most = depth(model)
    check_sizes(layers, most, "layers")
    return sorted(set(layers or default_layers(most)))


def by_layers(
    model: SentenceTransformer,
    sample: Sample,
    depths: Sequence[int],
    *,
    batch_size: int = 64,
    seed: int = 0,
    step: Step | None = None,
) -> list[AtSize]:
    """Measure the model truncated to each of some depths, see `nearfar.models.elastic.truncated`.

    Args:
        model: The encoder; it is not changed.
        sample: What is measured; all of it is encoded at each depth.
        depths: See `depths_of`.
        batch_size: Number of items in one forward pass.
        seed: As for `measure`.
        step: Called with the number of items encoded since the last call.
    """
    from nearfar.models.elastic import truncated

    found = []
    for n in depths:
        vectors = encode_sides(truncated(model, n), sample, batch_size=batch_size, step=step)
        found.append(AtSize(n, vectors[0].shape[1], measure(sample, vectors, seed).measures))
    return found


def default_layers(depth: int) -> list[int]:
    """All depths up to `depth`; if there are more than `MOST_LAYERS`, about that many, evenly spaced from the last."""
    step = -(-depth // MOST_LAYERS)
    return list(range(depth, 0, -step))[::-1]


def _prefix(vectors: np.ndarray, d: int) -> np.ndarray:
    import numpy as np

    cut = vectors[:, :d]
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    return np.ascontiguousarray(cut / np.maximum(lengths, 1e-12))
