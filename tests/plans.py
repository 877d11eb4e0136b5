"""Looking at what a recipe's `prepare` returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nearfar.kinds.plan import Plan, Stage


def first_stage(prepare: Callable[..., Plan]) -> Callable[..., Any]:
    """The same function, returning the plan's first stage."""

    def staged(*arguments: Any) -> Stage:
        return next(iter(prepare(*arguments)))

    return staged
