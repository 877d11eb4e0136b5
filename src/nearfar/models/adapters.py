"""Models with adapters of peft, such as LoRA: needed to load them, and trained in their place."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ADAPTER", "CONFIGURATION", "check_adapter", "train_adapters"]

#: The file of an adapter's configuration.
CONFIGURATION = "adapter_config.json"
#: The file of its weights.
ADAPTER = "adapter_model.safetensors"


def check_adapter(folder: Path) -> None:
    """Raise an InputError where a folder holds an adapter, and the library that reads it is not installed."""
    if (folder / CONFIGURATION).is_file() and find_spec("peft") is None:
        raise InputError(
            "this model is an adapter (LoRA or its like), which the library peft reads, and that is not installed",
            file=folder / CONFIGURATION,
            remedy="pip install 'nearfar[peft]'",
        )


def train_adapters(model: nn.Module) -> bool:
    """Let the active adapters of a model learn, in place: they are loaded frozen. What lies under them stays frozen.

    Returns:
        Whether there are any.
    """
    if find_spec("peft") is None:
        return False
    loaded = [each for each in model.modules() if getattr(each, "_hf_peft_config_loaded", False)]
    if not loaded:
        return False
    from peft.tuners.tuners_utils import BaseTunerLayer  # pyright: ignore[reportMissingImports]

    for part in loaded:
        for layer in part.modules():
            if isinstance(layer, BaseTunerLayer):
                tuned: Any = layer
                tuned.set_adapter(tuned.active_adapters)  # peft lets what is set learn
    return True
