"""What a run recorded of itself, read for `verify`: a changed byte gives one line that names the file and the key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.training.folder import read_configuration

if TYPE_CHECKING:
    from nearfar.training.request import Request

__all__ = ["after_of", "read_settings", "request_of", "sets_of"]

_REMEDY = "restore the file"
#: Keys of `run.yaml` that every run has, and those that some have.
_ALWAYS: dict[str, type | tuple[type, ...]] = {
    "recipe": str,
    "data": dict,
    "columns": (dict, list, type(None)),
    "evaluation": (str, type(None)),
    "options": dict,
    "seed": int,
}
_SOMETIMES: dict[str, type | tuple[type, ...]] = {
    "recipe_file": str,
    "recipe_sha256": str,
    "evaluation_columns": (dict, type(None)),
    "evaluation_sha256": str,
    "weights": list,
    "skip_broken": bool,
}


def read_settings(file: Path) -> dict[str, Any]:
    """The settings in `run.yaml`.

    Raises:
        InputError: It is not YAML, or one of its keys is missing or has another type of value.
    """
    try:
        found = read_configuration(file)
    except InputError as error:
        raise InputError("is not valid YAML", file=file, remedy=_REMEDY) from error
    for key, kind in _ALWAYS.items():
        _value(found, key, kind, file)
    for key, kind in _SOMETIMES.items():
        if key in found:
            _value(found, key, kind, file)
    for name, each in sets_of(found["data"]).items():
        where = f"data.sets.{name}." if name else "data."
        if not isinstance(each, dict):
            raise InputError("expected a mapping", file=file, field=where.rstrip("."), remedy=_REMEDY)
        for key in ("source", "sha256"):
            _value(each, key, str, file, where)
    columns = found["columns"] if isinstance(found["columns"], list) else [found["columns"]]
    for key, mappings in (("columns", columns), ("evaluation_columns", [found.get("evaluation_columns")])):
        if not all(_names_columns(each) for each in mappings):
            raise InputError("expected names of columns", file=file, field=key, remedy=_REMEDY)
    if not all(isinstance(weight, (int, float)) for weight in found.get("weights", ())):
        raise InputError("expected numbers", file=file, field="weights", remedy=_REMEDY)
    return found


def request_of(settings: Mapping[str, Any]) -> Request:
    """The request that a run was made by, without its base model.

    Raises:
        InputError: The recipe does not exist, or has no such options.
    """
    from nearfar.recipes import get
    from nearfar.training.request import Request

    recipe = get(str(settings.get("recipe_file") or settings["recipe"]))
    request = Request(
        recipe,
        _sources(settings["data"], recipe.roles),
        evaluation=settings["evaluation"],
        columns=settings["columns"],
        evaluation_columns=settings.get("evaluation_columns"),
        skip_broken=bool(settings.get("skip_broken")),
        weights=settings.get("weights"),
        seed=settings["seed"],
        settings=settings["options"],
    )
    _ = request.options  # checked when they are first asked for
    return request


def sets_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of each dataset by name; one that is alone has the name ''."""
    sets = data.get("sets")
    return {str(name): each for name, each in sets.items()} if isinstance(sets, dict) and sets else {"": data}


def after_of(file: Path) -> dict[str, float | None] | None:
    """The figures after training in `metrics.json`; None if the run was not evaluated.

    Raises:
        InputError: It is not JSON, or the figures are missing.
    """
    try:
        found = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError("is not valid JSON", file=file, remedy=_REMEDY) from error
    if not isinstance(found, dict):
        raise InputError("expected a JSON object", file=file, remedy=_REMEDY)
    # A run that was evaluated has all three.
    if not {"before", "after", "difference"} & found.keys():
        return None
    metrics = _value(_value(found, "after", dict, file), "metrics", dict, file, "after.")
    for name in metrics:
        _value(metrics, name, (float, int, type(None)), file, "after.metrics.")
    return metrics


def _sources(data: Mapping[str, Any], roles: tuple[str, ...]) -> Any:
    """The training data as it was passed: one source, several, or several by name."""
    from nearfar.training.rows import STREAM

    sets = {name: each["source"] for name, each in sets_of(data).items() if name}
    if sets:
        # Tasks of one source are the values of its column `task`.
        one = roles == (STREAM,) and len(set(sets.values())) == 1
        return next(iter(sets.values())) if one else sets
    whole = str(data["source"])
    several = whole.split(", ")
    return several if len(several) > 1 and not Path(whole).exists() else whole


def _names_columns(mapping: Any) -> bool:
    if mapping is None:
        return True
    return isinstance(mapping, dict) and all(isinstance(name, str) for pair in mapping.items() for name in pair)


def _value(values: Mapping[str, Any], key: str, kind: Any, file: Path, where: str = "") -> Any:
    if key not in values:
        raise InputError("is missing", file=file, field=f"{where}{key}", remedy=_REMEDY)
    # True and False are integers in Python.
    if not isinstance(values[key], kind) or (isinstance(values[key], bool) and kind is not bool):
        raise InputError(f"invalid value {values[key]!r:.80}", file=file, field=f"{where}{key}", remedy=_REMEDY)
    return values[key]
