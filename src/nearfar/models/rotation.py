"""Turning one tower's space onto another's, once and for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sentence_transformers.sentence_transformer.modules import Dense
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["fixed_rotation", "procrustes"]


def procrustes(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """The orthogonal W for which the rows of b W^T come closest to those of a, in the sum of squares.

    Source: Schoenemann 1966, A generalized solution of the orthogonal Procrustes problem.

    Raises:
        ValueError: a and b are no matrices of one shape.
    """
    if a.ndim != 2 or a.shape != b.shape or len(a) == 0:
        raise ValueError(f"row i of a belongs to row i of b, but the shapes are {tuple(a.shape)} and {tuple(b.shape)}")
    u, _, vt = torch.linalg.svd(a.detach().double().T @ b.detach().double())
    return (u @ vt).to(a.dtype)


def fixed_rotation(w: Float[Tensor, "d d"]) -> Dense:
    """A last module of a tower that turns its vectors, x to x W^T, and never learns.

    It is saved as sentence-transformers' own `Dense`, so that the model loads anywhere.
    """
    d = len(w)
    turned = Dense(d, d, bias=False, activation_function=torch.nn.Identity(), init_weight=w.detach().clone())
    return turned.requires_grad_(False)
