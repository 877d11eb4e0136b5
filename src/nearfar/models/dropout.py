"""Sets the dropout of a loaded model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from nearfar.errors import InputError

#: Attention layers pass a number to the fused attention kernels.
_NUMBERS = ("attention_dropout", "dropout_prob", "dropout")


def set_dropout(model: nn.Module, probability: float) -> int:
    """Set the probability of every dropout layer and of attention dropout.

    Returns:
        The number of changed probabilities.

    Raises:
        InputError: The probability is not in [0, 1), or the model has no dropout.
    """
    if not 0 <= probability < 1:
        raise InputError(f"invalid value {probability}: must be in [0, 1)", field="dropout", remedy="use e.g. 0.1")
    places = list(_places(model))
    for module, name in places:
        setattr(module, name, probability)
    if not places:
        raise InputError("the model has no dropout", field="--model", remedy="use an encoder with dropout layers")
    return len(places)


@contextmanager
def dropout(model: nn.Module, probability: float) -> Iterator[None]:
    """The same for a while. A model without dropout stays as it is."""
    places = [(module, name, getattr(module, name)) for module, name in _places(model)]
    for module, name, _ in places:
        setattr(module, name, probability)
    try:
        yield
    finally:
        for module, name, before in places:
            setattr(module, name, before)


def _places(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """The modules that have a probability of dropout, and its attribute."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            yield module, "p"
        for name in _NUMBERS:
            if isinstance(getattr(module, name, None), float):
                yield module, name
