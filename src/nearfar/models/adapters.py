"""Models with adapters of peft, such as LoRA: made, loaded, trained in place of the model, and switched on and off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    "adapted_parts",
    "add_lora",
    "check_adapter",
    "load_trained",
    "merge_adapters",
    "name_base",
    "parts_of",
    "save_trained",
    "train_adapters",
]

#: The file of an adapter's configuration.
CONFIGURATION = "adapter_config.json"
#: The file of its weights.
ADAPTER = "adapter_model.safetensors"
#: The file of a checkpoint with everything that learns in a model with adapters.
TRAINED = "trained.safetensors"


def check_adapter(folder: Path) -> None:
    """Raise an InputError where a folder holds an adapter, and the library that reads it is not installed."""
    if (folder / CONFIGURATION).is_file() and find_spec("peft") is None:
        raise InputError(
            "this model is an adapter (LoRA or its like), which the library peft reads, and that is not installed",
            file=folder / CONFIGURATION,
            remedy="pip install 'nearfar[peft]'",
        )


def add_lora(
    model: PreTrainedModel,
    rank: int,
    alpha: float | None = None,
    *,
    dropout: float = 0.0,
    targets: Sequence[str] = (),
) -> None:
    """Add a LoRA to linear layers of a transformers model, in place; everything else below its head is frozen.

    The head of a classifier is trained in full; that of a language model stays as it is. Layers that are frozen get no
    LoRA. It starts as the identity; its random factors are drawn from torch's generator.

    Args:
        model: The model.
        rank: Rank of the update of each layer.
        alpha: The update is multiplied with alpha / rank; None: twice the rank.
        dropout: Probability of dropout before the update.
        targets: The last parts of the names of the layers, such as `query`; by default all linear layers.

    Raises:
        InputError: peft is not installed, the model has adapters already, or it has no such layers.

    Source: Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models.
    """
    _check_addable(model)
    layers, heads = _layers_of(model)
    chosen = [name for name in layers if not targets or name.rpartition(".")[2] in targets]
    known = sorted({name.rpartition(".")[2] for name in layers})
    if not layers:
        problem = f"LoRA requires linear layers that are trained, and {type(model).__name__} has none"
        raise InputError(problem, field="lora_rank", remedy="set lora_rank=0, or use another base model")
    if unknown := sorted(set(targets) - set(known)):
        problem = f"the model has no linear layer {unknown[0]!r}"
        raise InputError(problem, field="lora_targets", remedy=f"expected some of {', '.join(known)}")
    peft: Any = import_module("peft")
    configuration = peft.LoraConfig(
        task_type="CAUSAL_LM" if type(model).__name__.endswith(("ForCausalLM", "LMHeadModel")) else None,
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        lora_dropout=dropout,
        target_modules=chosen,
        modules_to_save=heads or None,
    )
    with _old_peft_named():
        model.add_adapter(configuration)


def name_base(model: Any, base: str | None) -> None:
    """Set what an adapter that is saved names as its base model; None: nothing.

    peft looks for files of a base model that is named whenever it saves.
    """
    model.peft_config["default"].base_model_name_or_path = base


def _layers_of(model: PreTrainedModel) -> tuple[list[str], list[str]]:
    """The names of the linear layers below the head that are trained, and those of the parts of a head."""
    from torch import nn

    body = {id(each) for each in model.base_model.modules()}
    headless = model.base_model is model
    layers = [
        name
        for name, each in model.named_modules()
        if id(each) in body
        and isinstance(each, nn.Linear)
        and each.weight.requires_grad
        # Without a head, nothing reads the pooler of BERT and its kin.
        and not (headless and name.split(".")[0] == "pooler")
    ]
    embeds = model.get_output_embeddings()
    heads = [
        name
        for name, each in model.named_modules()
        if name and id(each) not in body and each is not embeds and any(True for _ in each.parameters(recurse=False))
    ]
    return layers, heads


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


def parts_of(module: nn.Module) -> list[PreTrainedModel]:
    """The models of transformers in a module, without those that are parts of others."""
    from transformers import PreTrainedModel

    found: list[PreTrainedModel] = []
    inside: set[int] = set()
    for part in module.modules():  # a whole comes before its parts
        if isinstance(part, PreTrainedModel) and id(part) not in inside:
            found.append(part)
            inside |= {id(each) for each in part.modules()}
    return found


def adapted_parts(module: nn.Module) -> list[Any]:
    """The models of transformers in a module that have adapters."""
    return [part for part in module.modules() if getattr(part, "_hf_peft_config_loaded", False)]


def save_trained(module: nn.Module, folder: Path) -> None:
    """Save what is trained of a module with adapters in a checkpoint: parameters that learn, and all buffers.

    The host libraries would load an adapter with its base model by name, which a model in memory or a GGUF file does
    not have, and beside it nothing else.
    """
    if adapted_parts(module):
        from safetensors.torch import save_file

        state = {name: value.detach().cpu().contiguous() for name, value in _trained(module).items()}
        save_file(state, folder / TRAINED)


def load_trained(module: nn.Module, folder: Path) -> bool:
    """Load what `save_trained` saved into the same module.

    Returns:
        Whether there is such a file.
    """
    if not (folder / TRAINED).is_file():
        return False
    import torch
    from safetensors.torch import load_file

    state, own = load_file(folder / TRAINED), _trained(module)
    if state.keys() != own.keys():
        raise InputError("contains other parameters than the model", file=folder / TRAINED, remedy="start a new run")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(state[name])
    return True


def _trained(module: nn.Module) -> dict[str, Any]:
    # A tensor that has two names, such as tied weights, is saved by its first.
    found = {name: value for name, value in module.named_parameters() if value.requires_grad}
    return {**found, **dict(module.named_buffers())}


def merge_adapters(model: nn.Module) -> None:
    """Add the active adapters to the weights, in place: what remains is a model without adapters."""
    if find_spec("peft") is None:
        return
    other: Any = import_module("peft.utils.other")
    layers: Any = import_module("peft.tuners.tuners_utils")
    for whole in adapted_parts(model):
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
    loaded = adapted_parts(model)
    if not loaded:
        return False
    from peft.tuners.tuners_utils import BaseTunerLayer  # pyright: ignore[reportMissingImports]

    for part in loaded:
        for layer in part.modules():
            if isinstance(layer, BaseTunerLayer):
                tuned: Any = layer
                tuned.set_adapter(tuned.active_adapters)  # peft lets what is set learn
    return True


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
