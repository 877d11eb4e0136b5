"""Checks of vectors beside those that are contrasted."""

from __future__ import annotations

import torch
from torch import Tensor


def check_vectors(a: Tensor, b: Tensor, name: str) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"far.{name}(): expected vectors (n, k) and (m, k), got {tuple(a.shape)} and {tuple(b.shape)}")
    if not bool(torch.isfinite(a).all()) or not bool(torch.isfinite(b).all()):
        raise ValueError(f"far.{name}(): a vector contains NaN or infinity")


def check_sizes(a: Tensor, b: Tensor, n: int, m: int, name: str) -> None:
    if len(a) != n or len(b) != m:
        raise ValueError(f"far.{name}() got {len(a)} and {len(b)} vectors for {n} anchors and {m} candidates")
