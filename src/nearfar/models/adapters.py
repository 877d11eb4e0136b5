"""Models with adapters of peft, such as LoRA: made, loaded, trained in place of the model, and switched on and off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

__all__ = [
    "ADAPTER",
    "CONFIGURATION",
    "AdapterSwitch",
    "add_lora",
    "add_mergeable_lora",
    "check_adapter",
    "load_lora",
    "merge_adapters",
    "train_adapters",
]

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


def add_mergeable_lora(model: PreTrainedModel, rank: int, alpha: float) -> None:
    """Add a LoRA to every linear layer below the head of a transformers model, in place; the rest is frozen.

    The head of a classifier is trained in full; that of a language model stays as it is.

    Args:
        model: The model.
        rank: Rank of the update of each layer.
        alpha: The update is multiplied with alpha / rank.

    Raises:
        InputError: peft is not installed, or the model has adapters already.

    Source: Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models.
    """
    from torch import nn

    _check_addable(model)
    body = {id(each) for each in model.base_model.modules()}
    linear = [name for name, each in model.named_modules() if id(each) in body and isinstance(each, nn.Linear)]
    embeds = model.get_output_embeddings()
    heads = [
        name
        for name, each in model.named_modules()
        if name and id(each) not in body and each is not embeds and any(True for _ in each.parameters(recurse=False))
    ]
    peft: Any = import_module("peft")
    with _old_peft_named():
        model.add_adapter(
            peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear, modules_to_save=heads or None)
        )
    # Otherwise peft looks for files of the base model whenever it saves.
    model.peft_config["default"].base_model_name_or_path = None


def _check_addable(model: PreTrainedModel) -> None:
    if find_spec("peft") is None:
        raise InputError("LoRA requires the package peft", field="lora_rank", remedy="pip install 'nearfar[peft]'")
    if getattr(model, "_hf_peft_config_loaded", False):
        problem = "the model already has an adapter (LoRA or similar), to which no second one can be added"
        raise InputError(problem, field="lora_rank", remedy="set lora_rank=0 to train the adapter, or pass its base")


@contextmanager
def _old_peft_named() -> Iterator[None]:
    """Turn the error of transformers about the version of peft into an InputError."""
    try:
        yield
    except ValueError as error:
        if "version of PEFT" not in str(error):
            raise
        problem = f"this release of transformers requires another peft: {error}"
        raise InputError(problem, field="lora_rank", remedy="pip install -U peft, or 'transformers<5.24'") from error


def load_lora(model: nn.Module, folder: Path) -> bool:
    """Load what was saved of a model to which `add_mergeable_lora` was applied, into the same model.

    The host libraries would load the base model by its name, which a model in memory or a GGUF file does not have.

    Returns:
        Whether there is such a LoRA.
    """
    for part in model.modules():
        whole: Any = part
        if getattr(part, "_hf_peft_config_loaded", False) and _added(whole):
            from safetensors.torch import load_file

            peft: Any = import_module("peft")
            (file,) = folder.rglob(ADAPTER)
            state = {name.removeprefix("base_model.model."): each for name, each in load_file(file).items()}
            found = peft.set_peft_model_state_dict(whole, state, adapter_name="default")
            assert not found.unexpected_keys
            return True
    return False


def _added(model: Any) -> bool:
    return any(each.base_model_name_or_path is None for each in model.peft_config.values())


def merge_adapters(model: nn.Module) -> None:
    """Add the active adapters to the weights, in place: what remains is a model without adapters."""
    if find_spec("peft") is None:
        return
    other: Any = import_module("peft.utils.other")
    layers: Any = import_module("peft.tuners.tuners_utils")
    for part in [each for each in model.modules() if getattr(each, "_hf_peft_config_loaded", False)]:
        whole: Any = part
        for name, layer in list(whole.named_modules()):
            if isinstance(layer, layers.BaseTunerLayer):
                tuned: Any = layer
                tuned.merge(safe_merge=True)
                found = tuned.get_base_layer()
            elif isinstance(layer, other.ModulesToSaveWrapper):
                saved: Any = layer
                found = saved.modules_to_save[saved.active_adapter]
            else:
                continue
            parent, _, last = name.rpartition(".")
            setattr(whole.get_submodule(parent), last, found)
        whole._hf_peft_config_loaded = False
        del whole.peft_config
        whole.requires_grad_(True)


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
    _check_addable(model)
    from peft import LoraConfig  # pyright: ignore[reportMissingImports]

    with _old_peft_named():
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
