"""Setting the dropout of a model that is already loaded."""

from __future__ import annotations

from torch import nn

from nearfar.errors import InputError


def set_dropout(model: nn.Module, probability: float) -> int:
    """Set every dropout layer, and the attention probabilities that have a number of their own.

    Returns:
        How many places were set.

    Raises:
        InputError: not in [0, 1), or the model has no dropout at all.
    """
    if not 0 <= probability < 1:
        raise InputError(f"{probability} is no dropout probability", field="dropout", remedy="use e.g. 0.1")
    places = 0
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
            places += 1
        for name in ("attention_dropout", "dropout_prob", "dropout"):
            # Attention layers hand a plain number to the fused attention kernels.
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, probability)
                places += 1
    if not places:
        raise InputError("the model has no dropout", field="--model", remedy="take an encoder with dropout layers")
    return places
