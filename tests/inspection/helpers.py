"""Vectors and rows by hand."""

from __future__ import annotations

import numpy as np
from datasets import Dataset

from nearfar.inspection import Inspection, inspect

NOUNS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "song", "guitar"]
PAIRS = [(f"the {a} sits on a {b}", f"a {a} in the {b}") for a in NOUNS for b in NOUNS if a != b]


def unit(x) -> np.ndarray:
    x = np.asarray(x, dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def random_unit(n: int, d: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, d)))


def pairs(n: int) -> Dataset:
    return Dataset.from_dict({"anchor": [f"a{i}" for i in range(n)], "positive": [f"b{i}" for i in range(n)]})


def labelled_inspection(n: int = 300, labels: int = 20, text: str = "text {i}", **options) -> Inspection:
    """Two sets of vectors of labelled texts, one with labels further apart, inspected side by side."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(labels, size=n)
    vectors = [rng.normal(size=(labels, 16))[kinds] + spread * rng.normal(size=(n, 16)) for spread in (0.5, 2.0)]
    rows = Dataset.from_dict(
        {"text": [text.replace("{i}", str(i)) for i in range(n)], "label": [f"l{k}" for k in kinds]}
    )
    return inspect(vectors[0], rows, against=vectors[1], near_duplicate=0.9, **options)
