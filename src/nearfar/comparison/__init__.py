"""Comparison of recipes on the user's own data, with equal budgets and seeds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfar.comparison.result import Comparison
    from nearfar.comparison.run import compare

__all__ = ["Comparison", "compare"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nearfar.comparison.{'run' if name == 'compare' else 'result'}"), name)
