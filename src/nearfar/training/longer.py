"""Further training of a finished run: more epochs, steps or stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.training.folder import OTHERWISE, STREAM, RunFolder, otherwise

if TYPE_CHECKING:
    from nearfar.training.stages import Prepared

#: Option -> old value and new value.
Changed = Mapping[str, tuple[Any, Any]]


def check_longer(changed: Changed, ready: Prepared, folder: RunFolder) -> None:
    """Check that a finished run can be trained further with these options.

    The last stage may become longer, and stages may be added, on a stream with their tasks. Nothing else may change.

    Args:
        changed: The options that differ.
        ready: The plan with the new options.
        folder: The folder of the finished run.

    Raises:
        InputError: The options change something else.
    """
    for name, (was, now) in changed.items():
        if name not in ("epochs", "max_steps", ready.plan.grows):
            field = "data" if name == STREAM else f"options.{name}"
            raise otherwise(folder.configuration, field, was, now)
    done = folder.finished_steps()
    for number, steps in enumerate(done, 1):
        last = number == len(done)
        own = None if number > len(ready.options) else ready.options[number - 1]
        if own is None:
            field, problem = (
                str(ready.plan.grows),
                f"expected at least {len(done)} stages, as in the finished run, got fewer",
            )
        elif own.max_steps:
            if own.max_steps == steps or (last and own.max_steps > steps):
                continue
            field, problem = "max_steps", f"stage {number} of the finished run has {steps} steps, got {own.max_steps}"
        else:
            was, now = changed.get("epochs", (own.epochs, own.epochs))
            if "max_steps" not in changed and (now == was or (last and now > was)):
                continue
            field, problem = "epochs", f"invalid change: stage {number} is finished"
        raise InputError(problem, file=folder.configuration, field=f"options.{field}", remedy=OTHERWISE)
