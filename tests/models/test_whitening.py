"""What whitening makes of a skewed cloud, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import FastICA
from sklearn.preprocessing import StandardScaler

from nearfar.errors import InputError
from nearfar.models.whitening import whitened

N, H = 2000, 8


@pytest.fixture(scope="module")
def skewed() -> np.ndarray:
    """Independent Laplace sources, mixed and moved away from 0."""
    random = np.random.default_rng(0)
    return random.laplace(size=(N, H)) @ random.normal(size=(H, H)) + 5


def mean_cosine(x: np.ndarray) -> float:
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    return float((np.square(units.sum(0)).sum() - len(x)) / (len(x) * (len(x) - 1)))


def off_diagonal(x: np.ndarray) -> float:
    covariance = np.cov(x, rowvar=False, bias=True)
    return float(np.abs(covariance - np.diag(np.diag(covariance))).max())


@pytest.mark.parametrize("method", ["ica", "pca"])
def test_covariance_is_the_identity_and_the_mean_zero(skewed, method) -> None:
    x = whitened(skewed, method)
    assert x.shape == skewed.shape
    np.testing.assert_allclose(np.cov(x, rowvar=False, bias=True), np.eye(H), atol=1e-8)
    assert np.abs(x.mean(0)).max() < 1e-10
    assert np.square(100 * x).sum(1).mean() == pytest.approx(1e4 * H, rel=1e-8)


def test_mean_cosine_falls_but_does_so_by_standardising_alone(skewed) -> None:
    """So it is the covariance that tells an isotropic bank, not the mean cosine."""
    assert mean_cosine(skewed) > 0.5
    standardised = StandardScaler().fit_transform(skewed)
    for moved in (standardised, whitened(skewed)):
        assert abs(mean_cosine(moved)) < 0.01
    assert off_diagonal(standardised) > 0.1
    assert off_diagonal(whitened(skewed)) < 1e-8


def test_ica_finds_the_independent_directions_where_pca_need_not(skewed) -> None:
    """Laplace sources have kurtosis 3 beyond the Gaussian's; any mixture of them has less."""

    def kurtosis(x: np.ndarray) -> float:
        return float((x**4).mean(0).mean() - 3)

    assert kurtosis(whitened(skewed, "ica")) > kurtosis(whitened(skewed, "pca")) + 0.5


@pytest.mark.filterwarnings("ignore:FastICA did not converge")
@pytest.mark.parametrize("gaussian", [False, True])
def test_the_covariance_is_the_identity_where_fast_ica_stops_short(skewed, gaussian, monkeypatch) -> None:
    """Of Gaussian data no direction is more independent than another, so FastICA may turn for ever."""
    fit = FastICA.fit
    monkeypatch.setattr(FastICA, "fit", lambda self, x: fit(self.set_params(max_iter=1), x))
    data = np.random.default_rng(0).normal(size=(200, 48)) if gaussian else skewed
    x = whitened(data, "ica")
    np.testing.assert_allclose(np.cov(x, rowvar=False, bias=True), np.eye(x.shape[1]), atol=1e-8)


def test_same_seed_same_space(skewed) -> None:
    assert np.array_equal(whitened(skewed, seed=1), whitened(skewed, seed=1))


@pytest.mark.parametrize("method", ["ica", "pca"])
@pytest.mark.filterwarnings("ignore:FastICA did not converge")
def test_a_direction_without_spread_stays_empty(skewed, method) -> None:
    """As after a layer normalisation, in the precision of a model's vectors."""
    normalised = skewed - skewed.mean(1, keepdims=True)
    x = whitened((normalised + 3).astype(np.float32), method)
    expected = np.diag([1.0] * (H - 1) + [0])
    np.testing.assert_allclose(np.cov(x, rowvar=False, bias=True), expected, atol=1e-8)


@pytest.mark.parametrize(
    ("flat", "problem"), [(np.eye(8), "8 entries are too few"), (np.ones((20, 2)), "all 20 vectors are equal")]
)
@pytest.mark.parametrize("method", ["ica", "pca"])
def test_what_cannot_be_whitened(flat, problem, method) -> None:
    with pytest.raises(InputError, match=problem):
        whitened(flat, method)
