"""Contrastive learning on language: one kernel, many papers as recipes, evaluated on your own data."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Eagerly: `nearfar.contrast` is a function in a module of that name. Whoever imported the module later would put the
# module in the place of the function. It imports nothing itself.
from nearfar.contrast import contrast

__version__ = "0.1.0"

# Where the other public names live. Nothing is imported before it is used: `nearfar --help` must not wait for torch.
_FUNCTIONS = {
    "compare": "nearfar.comparison",
    "distill": "nearfar.training",
    "evaluate": "nearfar.evaluation",
    "export": "nearfar.serving",
    "flow": "nearfar.dialogue",
    "inspect": "nearfar.inspection",
    "load": "nearfar.kinds.loading",
    "mine_hard_negatives": "nearfar.search",
    "predict": "nearfar.prediction",
    "push": "nearfar.serving",
    "train": "nearfar.training",
    "verify": "nearfar.serving",
}
_MODULES = ("decoding", "far", "geometry", "losses", "near", "recipes")

__all__ = [
    "compare",
    "contrast",
    "decoding",
    "distill",
    "evaluate",
    "export",
    "far",
    "flow",
    "geometry",
    "inspect",
    "load",
    "losses",
    "mine_hard_negatives",
    "near",
    "predict",
    "push",
    "recipes",
    "train",
    "verify",
]

if TYPE_CHECKING:
    from nearfar import decoding, far, geometry, losses, near, recipes
    from nearfar.comparison import compare
    from nearfar.dialogue import flow
    from nearfar.evaluation import evaluate
    from nearfar.inspection import inspect
    from nearfar.kinds.loading import load
    from nearfar.prediction import predict
    from nearfar.search import mine_hard_negatives
    from nearfar.serving import export, push, verify
    from nearfar.training import distill, train


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        value = getattr(importlib.import_module(_FUNCTIONS[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"nearfar.{name}")
    else:
        raise AttributeError(f"module 'nearfar' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
