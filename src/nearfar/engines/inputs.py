"""The arguments of `contrast` as engines expect them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.engines.cosine import unit_rows

if TYPE_CHECKING:
    from jaxtyping import Float


def common_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 if any is, else float32: half precision is raised for all sums."""
    return torch.float64 if any(x.dtype == torch.float64 for x in tensors) else torch.float32


def vectors(x: Float[Tensor, "n d"], dtype: torch.dtype, similarity: str) -> Float[Tensor, "n d"]:
    """Rows whose products are the similarities."""
    x = x.to(dtype)
    return unit_rows(x) if similarity == "cosine" else x.contiguous()


def scalar(temperature: float | Tensor, device: torch.device, dtype: torch.dtype) -> Float[Tensor, ""]:
    """The temperature as a 0-d tensor.

    Raises:
        ValueError: more than one number, or not > 0.
    """
    tau = torch.as_tensor(temperature, dtype=dtype, device=device)
    if tau.numel() != 1:
        raise ValueError(f"invalid temperature: must be a number or a 0-d tensor, got shape {tuple(tau.shape)}")
    if not 0 < float(tau.detach()) < float("inf"):
        raise ValueError(f"invalid temperature: must be > 0, got {float(tau.detach())}")
    return tau.reshape(())


def full_precision(device: str) -> contextlib.AbstractContextManager[object]:
    """Turns autocast off, which would turn the products back into half precision."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else contextlib.nullcontext()
