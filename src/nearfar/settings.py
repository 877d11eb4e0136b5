"""Options in a dataclass, set from `key=value`."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from nearfar.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


def parse_settings(settings: Iterable[str]) -> dict[str, str]:
    """`["epochs=3", ...]` as a dictionary; the values stay text.

    Raises:
        InputError: not `key=value`, or a key twice.
    """
    parsed: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise InputError(f"{setting!r} is not KEY=VALUE", field="--set", remedy="write e.g. --set epochs=3")
        if key in parsed:
            raise InputError(f"{key} is given twice", field="--set", remedy="give it once")
        parsed[key] = value.strip()
    return parsed


def with_settings(options: Options, settings: Mapping[str, Any]) -> Options:
    """A copy of `options` with some of its fields replaced; text is converted to the field's type.

    Raises:
        InputError: no such option, or a value that does not fit its type or range.
    """
    types_ = get_type_hints(type(options))
    known = [field.name for field in fields(options)]
    values = {}
    for key, value in settings.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}"
            raise InputError(f"there is no option {key!r}", field="--set", remedy=remedy)
        values[key] = _converted(key, value, types_[key])
    return replace(options, **values)


def check_range(
    options: object,
    *names: str,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Check numbers in a dataclass of options; NaN and infinity lie in no range, and None is not looked at.

    Args:
        options: What has the fields.
        *names: The fields.
        least, most: Bounds that a number may have.
        above, below: Bounds that it may not have.

    Raises:
        InputError: at the first number out of its range.
    """
    for name in names:
        value = getattr(options, name)
        if value is None:
            continue
        low = (least is None or value >= least) and (above is None or value > above)
        high = (most is None or value <= most) and (below is None or value < below)
        if not (low and high and abs(value) < float("inf")):
            raise InputError(f"{value} is out of range", field=name, remedy=_range(least, most, above, below))


def _range(least: float | None, most: float | None, above: float | None, below: float | None) -> str:
    """`use 0 to 1`, `use at least 1`, `use a number above 0`, `use 0 to below 1`."""
    upper = f"{most:g}" if most is not None else f"below {below:g}" if below is not None else None
    if upper is not None:
        lower = f"{least:g}" if least is not None else f"above {above:g}" if above is not None else None
        return f"use at most {upper}" if lower is None else f"use {lower} to {upper}"
    return f"use at least {least:g}" if least is not None else f"use a number above {above:g}"


def _converted(key: str, value: Any, kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        if value is None or value in ("none", "None", ""):
            return None
        kind = next(arm for arm in get_args(kind) if arm is not type(None))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            choices = ", ".join(map(str, get_args(kind)))
            raise InputError(f"{value!r} is not known", field=key, remedy=f"choose from {choices}")
        return value
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "yes", "1", "false", "no", "0"):
            return str(value).lower() in ("true", "yes", "1")
        raise InputError(f"{value!r} is neither true nor false", field=key, remedy="write true or false")
    if kind is str:
        return str(value)
    try:
        number = float(value)
        if kind is int and number != int(number):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        name = "a whole number" if kind is int else "a number"
        raise InputError(f"{value!r} is not {name}", field=key, remedy=f"write e.g. {key}={kind(8)}") from None
    return kind(number)
