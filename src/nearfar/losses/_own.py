"""Weights of a loss that are not weights of the model."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor, nn


def averaged_over_processes(module: nn.Module) -> nn.Module:
    """The same module, whose gradients are averaged over processes.

    Distributed training averages the gradients of the model, but not those of a loss's own weights.
    """
    for weight in module.parameters():
        if weight.requires_grad:
            weight.register_hook(_mean)
    return module


def _mean(gradient: Tensor) -> Tensor:
    if not (dist.is_available() and dist.is_initialized()):
        return gradient
    gradient = gradient.clone()
    dist.all_reduce(gradient)
    return gradient / dist.get_world_size()
