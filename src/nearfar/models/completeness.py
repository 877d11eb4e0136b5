"""Whether the weights of a model were all in its files.

transformers gives random numbers to a tensor that a file of weights does not contain, and no more than logs it. It
does say which ones when it is asked, and it knows tied weights and what each architecture computes by itself. What
remains missing is an error unless nothing of what the model gives depends on it: the pooler of BERT and its kin, which
many published encoders do without. That is tried and not looked up: NaN in place of the tensor must not show.
Of an adapter and the model under it, transformers tells only what the adapter lacks, so the base is asked separately.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.adapter_base import base_of
from nearfar.models.adapters import ADAPTER, CONFIGURATION

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

__all__ = ["Loaded", "check_complete", "missing_of", "watched"]

logger = logging.getLogger(__name__)

_LOCK = threading.RLock()


@dataclass
class Loaded:
    """A model of transformers, as it was loaded.

    Args:
        model: The model.
        missing: Names of its tensors that no file contains.
        surplus: Names in the files that the model does not have.
        base: The folder or Hub ID of the files, if they are those of the base model of an adapter.
    """

    model: PreTrainedModel
    missing: list[str]
    surplus: list[str]
    base: str | None = None


@contextmanager
def watched() -> Iterator[list[Loaded]]:
    """Collect what is loaded inside: other libraries call transformers, and do not ask what is missing."""
    from transformers import PreTrainedModel

    found: list[Loaded] = []
    own: Any = PreTrainedModel.__dict__["from_pretrained"]

    def from_pretrained(cls: Any, source: Any, *args: Any, output_loading_info: bool = False, **options: Any) -> Any:
        options = {**options, "output_loading_info": True}
        model, info = own.__func__(cls, source, *args, **options)
        if place := _place_in_whole(model, info):
            renamed = {rf"^{re.escape(place)}\.": ""}
            model, info = own.__func__(cls, source, *args, **options, key_mapping=renamed)
        found.append(Loaded(model, missing_of(model, info), sorted(info["unexpected_keys"])))
        # transformers' automatic classes have followed an adapter to its base already.
        followed = "_adapter_model_path" in (options.pop("adapter_kwargs", None) or {})
        if source is not None and (base := source if followed else base_of(Path(source))):
            bare, of_base = own.__func__(cls, base, *args, **options)
            found.append(Loaded(model, missing_of(bare, of_base), sorted(of_base["unexpected_keys"]), str(base)))
        return (model, info) if output_loading_info else model

    with _LOCK:
        PreTrainedModel.from_pretrained = classmethod(from_pretrained)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield found
        finally:
            PreTrainedModel.from_pretrained = own


def _place_in_whole(model: Any, info: dict[str, Any]) -> str | None:
    """Where the model is in the one that was saved, such as `encoder`, if that is why its tensors were not found.

    sentence-transformers takes the encoder of speech models alone, and transformers does not look there.
    """
    import torch
    import transformers

    missing, surplus = missing_of(model, info), set(info["unexpected_keys"])
    places = {other.removesuffix(f".{name}") for name in missing for other in surplus if other.endswith(f".{name}")}
    saved = getattr(transformers, str(next(iter(model.config.architectures or ()), None)), None)
    if not places or saved is None:
        return None
    with torch.device("meta"):
        parts = {name for name, part in saved(model.config).named_modules() if type(part) is type(model)}
    return next(iter(sorted(places & parts)), None)


def missing_of(model: Any, info: dict[str, Any]) -> list[str]:
    """The names of tensors that were not loaded, of transformers' loading info; sorted, without tied weights."""
    return sorted(set(info["missing_keys"]) - set(model.all_tied_weights_keys or ()))


def check_complete(found: Sequence[Loaded], whole: nn.Module | None, folder: Path) -> None:
    """Check that all weights that matter were loaded.

    Args:
        found: What `watched` gave.
        whole: The model of sentence-transformers that contains them; None: every missing tensor matters.
        folder: Where it was loaded from, for messages.

    Raises:
        InputError: a tensor is missing; the first one is named.
    """
    for loaded in found:
        holder = None if whole is None else _holder(whole, loaded.model)
        place = folder if loaded.base is None else Path(loaded.base)
        for name in loaded.missing:
            if holder is None or _matters(name, loaded.model, holder):
                raise incomplete(name, place, loaded.surplus)
        if loaded.base is None and (foreign := _foreign_of_adapter(loaded, folder)):
            raise InputError(
                f"the adapter contains {foreign!r}, for which the base model has no place",
                file=folder / ADAPTER,
                remedy="use the base model that the adapter was trained on",
            )
        if dropped := _dropped_layer(loaded):
            logger.warning(
                "%s: the weights contain %r, a layer more than config.json says; it is not used", place, dropped
            )


def incomplete(name: str, folder: Path, surplus: Sequence[str] = ()) -> InputError:
    """The error for a folder, or a GGUF file, whose weights do not contain a tensor.

    Args:
        name: The tensor.
        folder: The folder or the file.
        surplus: What the weights contain and nothing uses.
    """
    file = next((file for file in (folder / "model.safetensors", folder / ADAPTER) if file.is_file()), folder)
    what, settings = ("adapter", CONFIGURATION) if file.name == ADAPTER else ("model", "config.json")
    needing, remedy = f"{what} of {settings}", f"folder again; weights and {settings} must belong together"
    if file.suffix == ".gguf":
        needing, remedy = "model of its metadata", "file again"
    other = next((each for each in surplus if each.endswith(f".{name}")), None)
    instead = "" if other is None else f" (they contain {other!r}, which is not used)"
    return InputError(
        f"the weights do not contain {name!r}, which the {needing} needs{instead}",
        file=file,
        remedy=f"copy or download the {remedy}",
    )


def _foreign_of_adapter(loaded: Loaded, folder: Path) -> str | None:
    """The first tensor of an adapter's file that the model does not have."""
    from safetensors import safe_open

    file = folder / ADAPTER
    if not loaded.surplus or not file.is_file():
        return None
    with safe_open(file, framework="pt") as weights:
        names = {name.removeprefix("base_model.model.") for name in weights.keys()}  # noqa: SIM118 - no dictionary
    # peft puts the adapter's name before the last part of a tensor's.
    return next((name for name in loaded.surplus if {name, name.replace(".default", "")} & names), None)


def _holder(whole: nn.Module, model: PreTrainedModel) -> Any:
    """The module of sentence-transformers around a model of transformers."""
    return next((each for each in whole.modules() if getattr(each, "model", None) is model), None)


def _matters(name: str, model: PreTrainedModel, holder: Any) -> bool:
    """Whether anything that the holder gives depends on a tensor, or on the part of the model that it belongs to."""
    from torch import nn

    *path, last = name.split(".")
    around: list[Any] = []
    at: Any = model
    for step in path:
        at = getattr(at, step)
        if isinstance(at, (nn.ModuleList, nn.ModuleDict, nn.Sequential)):
            # One text may pass a layer by (one expert of many), so what is around the stack of layers is tried.
            return all(_shows(part.state_dict(keep_vars=True).values(), holder) for part in around)
        around.append(at)
    return _shows([getattr(at, last)], holder)


def _shows(tensors: Iterable[Tensor], holder: Any) -> bool:
    """Whether NaN in place of some tensors reaches what a module gives for any input that it reads."""
    import torch

    with torch.no_grad():
        kept = [(each, each.detach().clone()) for each in tensors if each.is_floating_point()]
        try:
            for tensor, _ in kept:
                tensor.fill_(torch.nan)
            return any(_has_nan(holder, kind) for kind in holder.modalities)
        finally:
            for tensor, value in kept:
                tensor.copy_(value)


def _has_nan(holder: Any, kind: Any) -> bool:
    """What cannot be tried counts as needed."""
    import torch

    try:
        features = holder.preprocess([_example(kind)])
        device = next(holder.parameters()).device
        given = holder({key: each.to(device) if torch.is_tensor(each) else each for key, each in features.items()})
        return bool(torch.isnan(given[holder.module_output_name]).any())
    except Exception:
        return True


def _example(kind: Any) -> Any:
    """A small input of a kind that sentence-transformers knows."""
    import numpy as np

    if kind == "text":
        return "a"
    if kind == "image":
        from PIL import Image

        return Image.new("RGB", (64, 64))
    if kind == "audio":
        return np.zeros(16_000, dtype=np.float32)
    if isinstance(kind, tuple):
        return {each: _example(each) for each in kind}
    raise ValueError(f"no example of {kind!r}")


def _dropped_layer(loaded: Loaded) -> str | None:
    """The first tensor of a layer that the files contain beyond the model's own stack of layers."""
    from torch import nn

    prefix = f"{loaded.model.base_model_prefix}."
    for name in loaded.surplus:
        # The files may name tensors as the base model does, or as the model with a head.
        for path in {name, name.removeprefix(prefix)}:
            at: Any = loaded.model
            for step in path.split("."):
                if isinstance(at, nn.ModuleList) and step.isdigit() and len(at) and int(step) >= len(at):
                    return name
                at = getattr(at, step, None)
    return None
