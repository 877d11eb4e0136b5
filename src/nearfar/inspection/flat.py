"""A two-dimensional map of a space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

MAPS = ("pca", "tsne")


def flat_map(x: Float[np.ndarray, "n d"], method: str = "pca", seed: int = 0) -> Float[np.ndarray, "n 2"]:
    """Two coordinates for each vector; the same vectors give the same map.

    Args:
        x: At least three unit vectors.
        method: `pca`: a projection on the two directions of largest variance. `tsne`: keeps neighbours together, and
            distances between groups have no meaning.
        seed: Random seed of t-SNE.

    Raises:
        InputError: an unknown method.

    Source: van der Maaten & Hinton 2008, Visualizing Data using t-SNE; both by scikit-learn.
    """
    import numpy as np

    check_map(method)
    x = np.ascontiguousarray(x, dtype=np.float64)
    if x.shape[1] == 1:
        return np.concatenate([x, np.zeros_like(x)], axis=1)
    from sklearn.decomposition import PCA

    if method == "pca" or not np.ptp(x, axis=0).any():
        # Equal vectors have a variance of 0, and PCA divides by it.
        with np.errstate(invalid="ignore"):
            return PCA(2, svd_solver="full").fit_transform(x)
    from sklearn.manifold import TSNE

    # PCA to at most 50 dimensions first, as its authors do.
    if min(x.shape) > 50:
        x = PCA(50, svd_solver="full").fit_transform(x)
    perplexity = min(30.0, (len(x) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(x).astype(float)


def check_map(method: str) -> None:
    """Raise an InputError unless `method` is one of `MAPS`."""
    if method not in MAPS:
        raise InputError(f"invalid map {method!r}: must be one of {', '.join(MAPS)}", field="map")
