"""Amateurs: worse models to contrast a language model with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.errors import InputError, passed_as
from nearfar.models.adapter_base import base_of
from nearfar.models.adapters import AdapterSwitch
from nearfar.models.language import find_language_model, load_language_model, same_weights
from nearfar.models.load_failures import failures_named, without_progress_bar
from nearfar.models.model_files import check_files

__all__ = ["FALSE", "PROMPT", "Amateur", "load_amateur"]

#: An instruction to answer falsely.
FALSE = "Answer every question with a plausible statement that is false."
#: The value of `--amateur` that stands for the model itself with an instruction to answer falsely.
PROMPT = "prompt"


@dataclass(frozen=True)
class Amateur:
    """A worse model.

    Args:
        model: The model; it may be the expert itself, with a prompt or with an adapter.
        prompt: Text before the prompt, such as an instruction to answer falsely.
        active: Makes the model compute as the amateur, for the time of a `with` block.
    """

    model: Any
    prompt: str = ""
    active: Callable[[], AbstractContextManager[Any]] = nullcontext


def load_amateur(name: str, model: Any, tokenizer: Any, expert: str | Path, prompt: str) -> Amateur:
    """The amateur called `name` of a language model.

    A LoRA adapter of the expert is loaded into the expert and switched on and off, so that its weights are in memory
    once.

    Args:
        name: `prompt` for the expert itself with an instruction to answer falsely; or the name of a language model, or
            a folder of an adapter.
        model, tokenizer: The expert.
        expert: Its name.
        prompt: The instruction.

    Raises:
        InputError: The amateur is the expert, has another vocabulary, or cannot be loaded.
    """
    if name == PROMPT:
        if not prompt.strip():
            raise InputError("expected an instruction to answer falsely, got none", field="amateur_prompt")
        return Amateur(model, prompt)
    folder = Path(name).expanduser()
    with passed_as("--amateur"):
        find_language_model(name)
        base = base_of(folder)
    if base is not None and same_weights(base, expert):
        with passed_as("--amateur"):
            check_files(folder)
        remedy = "pass an adapter of this model, such as one written by `nearfar train lol`"
        with failures_named(folder, "an adapter of the model", remedy, "--amateur"), without_progress_bar():
            return Amateur(model, active=AdapterSwitch(model, folder).on)
    if base is None and same_weights(name, expert):
        remedy = "pass a worse model, for example one written by `nearfar train lol`, or `prompt`"
        raise InputError("the amateur is the model itself: their contrast is zero", field="--amateur", remedy=remedy)
    with passed_as("--amateur"):
        worse, own = load_language_model(name, str(model.device))
    if own.get_vocab() != tokenizer.get_vocab():
        remedy = "pass a model with the same tokenizer"
        raise InputError("the amateur has another vocabulary than the model", field="--amateur", remedy=remedy)
    return Amateur(worse)
