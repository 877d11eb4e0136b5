"""The series' colours keep apart for every eye, and stand out from the page, in light and in dark."""

from __future__ import annotations

import itertools
import re
from importlib import resources

import numpy as np
import pytest

CSS = resources.files("nearfar.reports").joinpath("assets").joinpath("page.css").read_text("utf-8")
SCHEMES = dict(zip(["light", "dark"], re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2], strict=True))
# Machado, Oliveira and Fernandes 2009, severity 1.0.
VISION = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
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


def contrast(scheme: str, a: str, b: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(weights @ linear(scheme, name)) for name in (a, b))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_texts_and_marks_stand_out(scheme):
    for name in ("ink", "soft", "good", "bad"):
        assert contrast(scheme, name, "raised") >= 4.5, name
    for index in range(6):
        assert contrast(scheme, f"s{index}", "page") >= 3, index


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_series_keep_apart(scheme, vision):
    seen = {i: lab(np.asarray(VISION[vision]) @ linear(scheme, f"s{i}")) for i in range(6)}
    apart = {(i, j): float(np.linalg.norm(seen[i] - seen[j])) for i, j in itertools.combinations(seen, 2)}
    assert min(apart.values()) >= 10, apart
