"""Sets the dropout of a loaded model."""

from __future__ import annotations

from torch import nn

from nearfar.errors import InputError


def set_dropout(model: nn.Module, probability: float) -> int:
    """Set the probability of every dropout layer and of attention dropout.

    Returns:
        The number of changed probabilities.

    Raises:
        InputError: The probability is not in [0, 1), or the model has no dropout.
    """
    if not 0 <= probability < 1:
        raise InputError(f"invalid value {probability}: must be in [0, 1)", field="dropout", remedy="use e.g. 0.1")
    places = 0
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
            places += 1
        for name in ("attention_dropout", "dropout_prob", "dropout"):
            # Attention layers pass a number to the fused attention kernels.
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, probability)
                places += 1
    if not places:
        raise InputError("the model has no dropout", field="--model", remedy="use an encoder with dropout layers")
    return places
