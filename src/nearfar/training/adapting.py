"""LoRA in a run: which models get it, what the saved adapter names as its base model, and how much is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.adapters import adapted_parts, add_lora, name_base, parts_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nearfar.kinds.kind import Kind
    from nearfar.kinds.options import TrainingOptions
    from nearfar.training.request import Request

__all__ = ["BaseModel", "adapter_facts", "add_adapters"]


@dataclass(frozen=True)
class BaseModel:
    """The models of transformers in a base model, before the recipe changes anything.

    Args:
        parts: The models.
        names: What an adapter of each names as its base model; empty if the LoRA is merged.
        hashes: The hash of the weights of each, to see whether the recipe changes them; empty if the LoRA is merged.
    """

    parts: list[PreTrainedModel]
    names: list[str]
    hashes: list[str]

    @classmethod
    def of(cls, request: Request, start: Any) -> BaseModel | None:
        """The base model of a run with `lora_rank`; None for other runs.

        Raises:
            InputError: There is no base model, or it has no name for an adapter to name.
        """
        from nearfar.kinds.loading import of
        from nearfar.models.fingerprint import weights_fingerprint

        if not request.options.lora_rank:
            return None
        if request.recipe.makes_model:
            problem = f"the recipe {request.recipe.name} makes a new model, which has no weights to keep"
            raise InputError(problem, field="lora_rank", remedy="set lora_rank=0")
        parts = parts_of(of(start).module)
        if request.options.lora_merge:
            return cls(parts, [], [])
        if not isinstance(request.start, (str, Path)):
            problem = "an adapter names its base model, and a model in memory has no name"
            raise InputError(problem, field="lora_merge", remedy="set lora_merge=true, or pass a folder or a Hub ID")
        names = [_lasting(part, request.start) for part in parts]
        return cls(parts, names, [weights_fingerprint(part) for part in parts])

    def check(self) -> None:
        """Check that an adapter on the base model is the model that will be trained.

        Raises:
            InputError: The recipe has changed weights that the adapter does not contain.
        """
        from nearfar.models.fingerprint import weights_fingerprint

        for part, was in zip(self.parts, self.hashes, strict=bool(self.hashes)):
            if weights_fingerprint(part) != was:
                problem = "the recipe changes weights of the base model, which an adapter does not contain"
                raise InputError(problem, field="lora_merge", remedy="set lora_merge=true")

    def name_in_adapters(self) -> None:
        """Write the names into the adapters, right before the model is saved."""
        for part, name in zip(self.parts, self.names, strict=bool(self.names)):
            if adapted_parts(part):
                name_base(part, name)


def add_adapters(model: Kind, options: TrainingOptions, base: BaseModel | None) -> None:
    """Add a LoRA to the models of transformers that were loaded, in place; frozen ones stay as they are.

    Args:
        model: The model that the recipe prepared.
        options: The options of LoRA.
        base: The base model; None: all of the model was loaded.

    Raises:
        InputError: No layer can have a LoRA, or an option does not fit.
    """
    from sentence_transformers.base.modules import Router

    parts = parts_of(model.module)
    if base is not None:
        base.check()
        loaded = {id(part) for part in base.parts}
        parts = [part for part in parts if id(part) in loaded]
    parts = [part for part in parts if any(weight.requires_grad for weight in part.parameters())]
    if not options.lora_merge and any(isinstance(each, Router) for each in model.module.modules()):
        problem = "a model with several towers cannot be saved as an adapter"
        raise InputError(problem, field="lora_merge", remedy="set lora_merge=true")
    if not parts:
        problem = f"LoRA requires a transformers model that is trained, and this {model.name} has none"
        raise InputError(problem, field="lora_rank", remedy="set lora_rank=0, or use another base model")
    targets = [name.strip() for name in options.lora_targets.split(",") if name.strip()]
    for part in parts:
        add_lora(part, options.lora_rank, options.lora_alpha or None, dropout=options.lora_dropout, targets=targets)
        # Checkpoints are loaded into the model itself, and peft would look for files of a base model that is named.
        name_base(part, None)


def adapter_facts(model: Kind) -> dict[str, Any]:
    """How much of a model with adapters is trained, for `metrics.json`; empty without adapters."""
    if not adapted_parts(model.module):
        return {}
    weights = list(model.module.parameters())
    trained = sum(weight.numel() for weight in weights if weight.requires_grad)
    every = sum(weight.numel() for weight in weights)
    return {"adapter": {"parameters": every, "trained": trained, "share": trained / every}}


def _lasting(part: Any, name: str | Path) -> str:
    """A name of a part's weights by which they are found from any folder."""
    from nearfar.models.aliases import ALIASES, GENERATORS
    from nearfar.models.loading import find

    place = str(part.name_or_path)
    if not Path(place).is_dir():
        return place  # such as the alias of a GGUF file
    there = Path(place).resolve()
    by_hub_id = str(name) not in {*ALIASES, *GENERATORS} and not Path(name).expanduser().exists()
    return str(name) if by_hub_id and find(name).resolve() == there else str(there)
