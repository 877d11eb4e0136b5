"""Whitening: transforms vectors so that all directions have equal variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

#: A direction with a smaller spread, relative to the largest, is a rounding error of float32.
_FLAT = 1e-5


def whitened(
    vectors: Float[np.ndarray, "n h"], method: Literal["ica", "pca"] = "ica", seed: int = 42
) -> Float[np.ndarray, "n h"]:
    """Transform vectors so that their mean is 0 and their (biased) covariance the identity, in float64.

    If the vectors have only r < h dimensions of variance, the covariance is the identity in the first r dimensions, and
    0 in the rest. This happens with the last layer of BERT: its normalisation removes one dimension, which scaling
    would fill with rounding errors.

    Args:
        vectors: A matrix with more rows than columns.
        method: `"ica"` standardises each dimension, then rotates to independent directions (FastICA, logcosh); for h in
            the hundreds it takes minutes, and may not converge, with a warning. `"pca"` keeps the principal directions
            and is fast.
        seed: Random seed of FastICA.

    Raises:
        InputError: See `check_enough`, or all vectors are equal.
    """
    import numpy as np
    from sklearn.decomposition import PCA, FastICA
    from sklearn.preprocessing import StandardScaler

    n, h = vectors.shape
    check_enough(n, h)
    if not np.ptp(vectors, axis=0).any():
        raise InputError(f"all {n} vectors are equal", field="isotropy", remedy="remove isotropy")
    x = StandardScaler(with_std=method == "ica").fit_transform(np.asarray(vectors, dtype=np.float64))
    pca = PCA(whiten=True, svd_solver="full")
    x = pca.fit_transform(x)
    rank = int((pca.singular_values_ > _FLAT * pca.singular_values_[0]).sum())
    # scikit-learn divides by n - 1; here the covariance over the n vectors is the identity.
    x = x[:, :rank] * np.sqrt(n / (n - 1))
    if method == "ica":
        # The rows are already white, so only a rotation is missing. FastICA's matrix is a rotation only if it
        # converged; the nearest rotation keeps the covariance in any case.
        ica = FastICA(
            whiten=False,  # pyright: ignore[reportArgumentType]
            fun="logcosh",
            max_iter=1000,
            tol=1e-4,
            random_state=seed,
        ).fit(x)
        left, _, right = np.linalg.svd(ica.components_)
        x = x @ (left @ right).T
    return np.pad(x, ((0, 0), (0, h - rank)))


def check_enough(n: int, h: int) -> None:
    """Raise an InputError if n vectors are too few to estimate the covariance of h dimensions."""
    if n <= h:
        raise InputError(
            f"{n} entries are too few to whiten {h} dimensions",
            field="isotropy",
            remedy=f"use more than {h} different entries, preferably many times as many, or remove isotropy",
        )
