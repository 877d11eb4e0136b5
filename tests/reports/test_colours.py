"""The series' colours keep apart for every eye, and stand out from the page, in light and in dark."""

from __future__ import annotations

import itertools
import re
from importlib import resources

import numpy as np
import pytest

CSS = resources.files("nearfar.reports").joinpath("assets").joinpath("page.css").read_text("utf-8")
SCHEMES = dict(zip(["light", "dark", "print"], re.findall(r":root \{(.*?)\}", CSS, re.DOTALL), strict=True))
BACKGROUNDS = ("page", "raised")
# Machado, Oliveira and Fernandes 2009, severity 1.0.
VISION = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(scheme: str, name: str) -> np.ndarray:
    code = re.search(rf"--{name}: #(\w+);", SCHEMES[scheme])
    assert code is not None
    digits = code[1] if len(code[1]) == 6 else "".join(2 * digit for digit in code[1])
    channels = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(0, 1)
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ratio(a: np.ndarray, b: np.ndarray) -> float:
    """Contrast of two linear colours as WCAG 2 defines it."""
    low, high = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ colour) for colour in (a, b))
    return (high + 0.05) / (low + 0.05)


def contrast(scheme: str, a: str, b: str) -> float:
    return ratio(linear(scheme, a), linear(scheme, b))


def laid_over(scheme: str, name: str, opacity: float) -> np.ndarray:
    """A colour on the page as a browser mixes it: in sRGB, not in linear light."""
    mixed = opacity * encoded(linear(scheme, name)) + (1 - opacity) * encoded(linear(scheme, "page"))
    return np.where(mixed <= 0.04045, mixed / 12.92, ((mixed + 0.055) / 1.055) ** 2.4)


def encoded(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_texts_reach_wcag_aa_and_marks_and_borders_too(scheme, background):
    for name in ("ink", "soft", "good", "bad"):
        assert contrast(scheme, name, background) >= 4.5, name
    for name in ("base", *(f"s{index}" for index in range(6))):
        assert contrast(scheme, name, background) >= 3, name


@pytest.mark.parametrize("scheme", SCHEMES)
def test_numbers_in_cells_reach_wcag_aa_at_every_strength(scheme):
    for name, opacity in itertools.product(("h0", "h1"), np.linspace(0, 1, 51)):
        assert ratio(linear(scheme, "ink"), laid_over(scheme, name, opacity)) >= 4.5, (name, opacity)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_tip_can_be_read(scheme):
    assert contrast(scheme, "page", "ink") >= 4.5  # its text and its ground


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_series_keep_apart(scheme, vision):
    seen = {i: lab(np.asarray(VISION[vision]) @ linear(scheme, f"s{i}")) for i in range(6)}
    apart = {(i, j): float(np.linalg.norm(seen[i] - seen[j])) for i, j in itertools.combinations(seen, 2)}
    assert min(apart.values()) >= 14, apart
