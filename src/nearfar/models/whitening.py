"""Whitening: the same vectors in a space whose directions all count alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

#: A direction in which vectors spread less than this, against the widest one, is rounding of float32.
_FLAT = 1e-5


def whitened(
    vectors: Float[np.ndarray, "n h"], method: Literal["ica", "pca"] = "ica", seed: int = 42
) -> Float[np.ndarray, "n h"]:
    """Turn and stretch vectors so that their mean is 0 and their (biased) covariance the identity, in float64.

    Where they spread over r < h dimensions, the covariance is the identity in the first r and the rest is 0. So it is
    with the last layer of a BERT: its normalisation takes one dimension away, and stretching would fill that with
    rounding errors.

    Args:
        vectors: More rows than columns.
        method: `"ica"` standardises each dimension, then turns the space to independent directions (FastICA, logcosh);
            for h in the hundreds it takes minutes and may stop short of convergence, with a warning. `"pca"` keeps the
            principal directions and is cheap.
        seed: Where FastICA starts.

    Raises:
        InputError: see `check_enough`, or the vectors are all the same.
    """
    import numpy as np
    from sklearn.decomposition import PCA, FastICA
    from sklearn.preprocessing import StandardScaler

    n, h = vectors.shape
    check_enough(n, h)
    if not np.ptp(vectors, axis=0).any():
        raise InputError(f"all {n} vectors are the same", field="isotropy", remedy="leave it out")
    x = StandardScaler(with_std=method == "ica").fit_transform(np.asarray(vectors, dtype=np.float64))
    pca = PCA(whiten=True, svd_solver="full")
    x = pca.fit_transform(x)
    rank = int((pca.singular_values_ > _FLAT * pca.singular_values_[0]).sum())
    # scikit-learn divides by n - 1; the identity is meant over these n vectors.
    x = x[:, :rank] * np.sqrt(n / (n - 1))
    if method == "ica":
        # The rows are white by now, so all that is left to find is a rotation. FastICA's own matrix is one only where
        # it converged; the nearest rotation is taken, which keeps the covariance whatever FastICA did.
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
    """Raise an InputError where n vectors of h dimensions are too few to tell how they spread."""
    if n <= h:
        raise InputError(
            f"{n} entries are too few to whiten {h} dimensions",
            field="isotropy",
            remedy=f"give more than {h} different entries, better many times as many, or leave isotropy out",
        )
