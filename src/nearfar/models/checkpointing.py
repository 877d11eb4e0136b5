"""Gradient checkpointing: less memory for the backward pass, which computes the results inside layers again.

Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost (arXiv 1604.06174).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.adapters import parts_of

if TYPE_CHECKING:
    from torch import nn

__all__ = ["keep_less"]


def keep_less(module: nn.Module) -> None:
    """Let all models of transformers in a module keep only the inputs of their layers in training, in place.

    Raises:
        InputError: There is no such model.
    """
    parts: list[Any] = [part for part in parts_of(module) if part.supports_gradient_checkpointing]
    if not parts:
        problem = "the model has no layers of transformers whose results could be computed again"
        raise InputError(problem, field="gradient_checkpointing", remedy="set gradient_checkpointing=false")
    for part in parts:
        # Newer releases of transformers have another name for it, and warn of the old one.
        enable = getattr(part, "activation_checkpointing_enable", None) or part.gradient_checkpointing_enable
        # Reentrant checkpoints give no gradients where the inputs of a layer have none, as under a LoRA.
        enable({"use_reentrant": False})
