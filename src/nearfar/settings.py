"""Options in a dataclass, set from `key=value`."""

from __future__ import annotations

import difflib
import inspect
import json
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from nearfar.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: The field of an error about an option that does not exist; on the command line it is `--set`.
FIELD = "settings"
# Names of options and values in other libraries.
_ALIASES = {
    "learning_rate": ("lr", "peak_lr", "learningrate", "eta"),
    "batch_size": ("bs", "batch", "batchsize", "per_device_train_batch_size", "train_batch_size", "minibatch_size"),
    "epochs": ("num_epochs", "num_train_epochs", "n_epochs", "epoch", "max_epochs"),
    "max_steps": ("steps", "num_steps", "train_steps", "num_training_steps", "iterations", "max_iter"),
    "warmup_ratio": ("warmup", "warmup_steps", "warm_up", "warmup_proportion"),
    "temperature": ("temp", "tau", "scale", "logit_scale", "t"),
    "max_length": ("max_seq_length", "max_seq_len", "max_len", "seq_len", "maxlen", "max_tokens"),
    "weight_decay": ("wd", "l2", "decay"),
    "gradient_accumulation": ("grad_accum", "gradient_accumulation_steps", "accumulate_grad_batches", "accumulation"),
    "precision": ("bf16", "fp16", "amp", "mixed_precision", "dtype", "torch_dtype"),
    "save_steps": ("checkpoint_steps", "save_every"),
    "eval_steps": ("eval_every", "evaluation_steps", "val_steps"),
    "bfloat16": ("bf16", "bf16-mixed"),
    "float16": ("fp16", "half", "16", "16-mixed"),
    "float32": ("fp32", "full", "32", "single"),
}

Options = TypeVar("Options", bound="DataclassInstance")


@dataclass(frozen=True)
class Range:
    """The valid numbers of an option; NaN and infinity are never valid.

    Args:
        least, most: Inclusive bounds.
        above, below: Exclusive bounds.

    Example:
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     alpha: Annotated[float, Range(least=0, most=1)] = 0.5
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        low = (self.least is None or value >= self.least) and (self.above is None or value > self.above)
        high = (self.most is None or value <= self.most) and (self.below is None or value < self.below)
        return low and high and abs(value) < float("inf")

    def __str__(self) -> str:
        """`0 to 1`, `at least 1`, `above 0`, `0 to below 1`, `above 0 and at most 1`."""
        upper = f"{self.most:g}" if self.most is not None else "" if self.below is None else f"below {self.below:g}"
        lower = f"{self.least:g}" if self.least is not None else "" if self.above is None else f"above {self.above:g}"
        if self.above is not None and self.most is not None:
            return f"{lower} and at most {upper}"
        if self.above is not None and upper:
            return f"{lower} and {upper}"
        if upper:
            return f"{lower} to {upper}" if lower else f"at most {upper}"
        return lower if lower.startswith("above") else f"at least {lower}"


#: A number above 0, a number not below 0, a fraction (0 to 1), a probability below 1; whole numbers from 0 and from 1.
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(least=0)]
Fraction = Annotated[float, Range(least=0, most=1)]
Probability = Annotated[float, Range(least=0, below=1)]
Whole = Annotated[int, Range(least=0)]
Count = Annotated[int, Range(least=1)]


def check_ranges(options: DataclassInstance) -> None:
    """Check every field whose type has a `Range`; None is always valid.

    Raises:
        InputError: A number is out of range.
    """
    for name, limits in _ranges(type(options)).items():
        value = getattr(options, name)
        if value is not None and value not in limits:
            raise InputError(f"invalid value {value}", field=name, remedy=f"must be {limits}")


def from_options(kind: type[Options], options: DataclassInstance, **others: Any) -> Options:
    """A dataclass of the type `kind`: `others`, and for each further field the option of the same name."""
    same = {field.name: getattr(options, field.name) for field in fields(kind) if field.name not in others}
    return kind(**same, **others)


def parse_settings(settings: Iterable[str]) -> dict[str, str]:
    """`["epochs=3", ...]` as a dictionary; the values stay text.

    Raises:
        InputError: A setting is not `key=value`, or a key is duplicate.
    """
    parsed: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise InputError(f"expected KEY=VALUE, got {setting!r}", field="--set", remedy="use e.g. --set epochs=3")
        if key in parsed:
            raise InputError(f"duplicate option {key!r}", field="--set", remedy="set it once")
        parsed[key] = value.strip()
    return parsed


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """`"2x32,4x64"` as `[(2, 32), (4, 64)]`: layers and dimensions of an encoder; an empty text gives no size.

    Raises:
        InputError: The text does not have this form.
    """
    try:
        return [(int(n), int(d)) for n, d in (size.split("x") for size in text.split(",") if size.strip())]
    except ValueError:
        raise InputError(f"invalid value {text!r}", field="sizes", remedy="write e.g. 2x32,4x64") from None


def with_settings(options: Options, settings: Mapping[str, Any]) -> Options:
    """A copy of `options` with some of its fields replaced; text is converted to the field's type.

    Raises:
        InputError: An option does not exist, or a value has the wrong type or is out of range.
    """
    types_ = get_type_hints(type(options))
    known = [field.name for field in fields(options)]
    values = {}
    for key, value in settings.items():
        if key not in known:
            close = suggested(key, known)
            remedy = f"did you mean {close}?" if close else f"choose from {', '.join(known)}"
            raise InputError(f"unknown option {key!r}", field=FIELD, remedy=remedy)
        values[key] = _converted(key, value, types_[key])
    return replace(options, **values)


def suggested(name: str, known: Sequence[str]) -> str | None:
    """Which of the known names was meant: one that other libraries call so, else one that is spelled alike."""
    same = name.casefold().replace("-", "_")
    for each in known:
        if name.casefold() in _ALIASES.get(each, ()) or same in _ALIASES.get(each, ()):
            return each
    return next(iter(difflib.get_close_matches(same, known, n=1, cutoff=0.7)), None)


def _converted(key: str, value: Any, kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        if value is None or value in ("none", "None", ""):
            return None
        kind = next(arm for arm in get_args(kind) if arm is not type(None))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            choices = ", ".join(map(str, get_args(kind)))
            close = suggested(str(value), [each for each in get_args(kind) if isinstance(each, str)])
            remedy = f"did you mean {close}? choose from {choices}" if close else f"choose from {choices}"
            raise InputError(f"invalid value {value!r}", field=key, remedy=remedy)
        return value
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "yes", "1", "false", "no", "0"):
            return str(value).lower() in ("true", "yes", "1")
        raise InputError(f"expected true or false, got {value!r}", field=key, remedy=f"use e.g. {key}=true")
    if kind is str:
        return json.dumps(dict(value), ensure_ascii=False) if isinstance(value, Mapping) else str(value)
    try:
        number = float(value)
        if kind is int and number != int(number):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        name = "a whole number" if kind is int else "a number"
        raise InputError(f"expected {name}, got {value!r}", field=key, remedy=f"use e.g. {key}={kind(8)}") from None
    return kind(number)


@cache
def _ranges(options: type) -> dict[str, Range]:
    """Fields and their ranges. If a subclass redefines a field without a range, the range is kept."""
    found = {}
    for base in reversed(options.__mro__):
        own = inspect.get_annotations(base)
        for name, kind in get_type_hints(base, include_extras=True).items() if own else ():
            arms = [kind, *(get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ())]
            limits = [extra for arm in arms for extra in getattr(arm, "__metadata__", ()) if isinstance(extra, Range)]
            if name in own and limits:
                found[name] = limits[-1]
    return found
