"""Aligns the vectors of one tower with those of another by a fixed rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sentence_transformers.sentence_transformer.modules import Dense
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["fixed_rotation", "procrustes"]


def procrustes(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """The orthogonal W for which the rows of b W^T are closest to those of a, by the sum of squares.

    Source: Schoenemann 1966, A generalized solution of the orthogonal Procrustes problem.

    Raises:
        ValueError: a and b are not matrices of the same shape.
    """
    if a.ndim != 2 or a.shape != b.shape or len(a) == 0:
        raise ValueError(f"expected two matrices of the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    u, _, vt = torch.linalg.svd(a.detach().double().T @ b.detach().double())
    return (u @ vt).to(a.dtype)


def fixed_rotation(w: Float[Tensor, "d d"]) -> Dense:
    """A final module of a tower that rotates its vectors, x to x W^T, and is not trained.

    It is a `Dense` module of sentence-transformers, so the model loads without nearfar.
    """
    d = len(w)
    turned = Dense(d, d, bias=False, activation_function=torch.nn.Identity(), init_weight=w.detach().clone())
    return turned.requires_grad_(False)
