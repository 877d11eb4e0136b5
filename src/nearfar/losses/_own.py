"""Weights that belong to a loss and not to the model."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor, nn


def averaged_over_processes(module: nn.Module) -> nn.Module:
    """The module; its gradients become the mean over processes.

    Distributed training averages the model's gradients, but does not know of a loss's own weights.
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
