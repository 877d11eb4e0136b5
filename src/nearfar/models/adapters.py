"""Models with adapters of peft, such as LoRA: made, loaded, trained in place of the model, and switched on and off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ADAPTER", "CONFIGURATION", "AdapterSwitch", "add_lora", "check_adapter", "train_adapters"]

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


def add_lora(model: Any, rank: int) -> None:
    """Add a LoRA adapter to all linear layers of a language model except its head, in place; only it is trained.

    Its scale is 2 (alpha is twice the rank). The adapter starts as the identity; its random factors are drawn from
    torch's generator.

    Args:
        model: A language model of transformers.
        rank: Rank of the adapter.

    Raises:
        InputError: peft is not installed, or the model has an adapter.
    """
    if find_spec("peft") is None:
        raise InputError("LoRA requires the library peft", field="lora_rank", remedy="pip install 'nearfar[peft]'")
    if getattr(model, "_hf_peft_config_loaded", False):
        problem = "the model is an adapter (LoRA or similar), to which no second one can be added"
        raise InputError(problem, field="lora_rank", remedy="set lora_rank=0 to train the adapter, or pass its base")
    from peft import LoraConfig  # pyright: ignore[reportMissingImports]

    model.add_adapter(LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=2 * rank, target_modules="all-linear"))


class AdapterSwitch:
    """Loads an adapter into a model, switched off; the model computes as before unless it is switched on.

    Args:
        model: A model of transformers without adapters.
        folder: The adapter.
    """

    def __init__(self, model: Any, folder: Path) -> None:
        check_adapter(folder)
        model.load_adapter(str(folder), adapter_name="amateur")
        from peft.tuners.tuners_utils import BaseTunerLayer  # pyright: ignore[reportMissingImports]

        self._layers = [each for each in model.modules() if isinstance(each, BaseTunerLayer)]
        self._switch(False)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Compute with the adapter."""
        self._switch(True)
        try:
            yield
        finally:
            self._switch(False)

    def _switch(self, enabled: bool) -> None:
        for layer in self._layers:
            layer.enable_adapters(enabled)
