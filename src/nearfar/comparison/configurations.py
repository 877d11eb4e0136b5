"""What a comparison trains: a recipe on a base model with its options, and all combinations of a search."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from nearfar.comparison.budget import settings_for
from nearfar.comparison.ranking import BASE
from nearfar.errors import InputError, renamed
from nearfar.settings import FIELD

if TYPE_CHECKING:
    from nearfar.comparison.fitting import Fit
    from nearfar.comparison.request import Request
    from nearfar.recipes import Recipe

__all__ = ["Configuration", "base_names", "configurations", "one_of_each", "parse_search", "start_of"]

_FIELD = "--search"


@dataclass(frozen=True)
class Configuration:
    """A recipe on a base model, with its options.

    Args:
        name: Its name in results, and of its files.
        recipe: The recipe.
        model: The base model, as an absolute path if it is a folder.
        settings: Options that were set.
        on_texts: Whether it trains on the single texts of the rows.
        searched: The options that a search varies, for tables.
        variant: The name of its training rows, if they are a variant.
    """

    name: str
    recipe: Recipe
    model: str
    settings: Mapping[str, Any]
    on_texts: bool = False
    searched: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""


def start_of(model: str | Path) -> str:
    """The base model's name, as an absolute path if it is a folder."""
    return str(Path(model).absolute()) if Path(model).exists() else str(model)


def one_of_each(
    request: Request, fitting: Sequence[Fit], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Configuration]:
    """One configuration of each recipe on each of the training rows that it is compatible with, by name."""
    start, recipes = start_of(request.models[0]), {recipe.name: recipe for recipe in request.recipes}
    return {
        fit.name: Configuration(
            fit.name, recipes[fit.recipe], start, settings[fit.recipe], fit.on_texts, variant=fit.variant
        )
        for fit in fitting
        if fit.reason is None
    }


def configurations(request: Request, fitting: Sequence[Fit]) -> dict[str, Configuration]:
    """Every recipe on every base model, with every combination of the searched options that the recipe has.

    Args:
        request: The request.
        fitting: Which recipes are compatible with which training rows; each is trained on all of these.

    Raises:
        InputError: A recipe has no such option, a value is invalid, or an option is both set and searched.
    """
    options = {recipe.name: recipe.options for recipe in request.recipes}
    for key in request.search:
        if key in request.settings:
            raise InputError(f"{key} is set and searched", field=_FIELD, remedy=f"remove --set {key}, or --search")
        if not request.search[key]:
            raise InputError(f"expected values of {key}, got none", field=_FIELD, remedy="use e.g. lora_rank=0,16")
    combinations = [dict(zip(request.search, values, strict=True)) for values in product(*request.search.values())]
    settings_for(list(options), options, request.settings)  # first alone: what then fails was searched
    with renamed(**{FIELD: _FIELD}):
        own = [settings_for(list(options), options, {**request.settings, **each}) for each in combinations]
    models, recipes = _short_names(request.models), {recipe.name: recipe for recipe in request.recipes}
    found: dict[str, Configuration] = {}
    for fit in (fit for fit in fitting if fit.reason is None):
        recipe = recipes[fit.recipe]
        for model, short in models.items():
            for combination, of_all in zip(combinations, own, strict=True):
                searched = {key: value for key, value in combination.items() if _takes(recipe, key)}
                parts = [fit.name, *([short] if len(models) > 1 else []), *(f"{k}={v}" for k, v in searched.items())]
                name = re.sub(r"[^\w.=+-]+", "-", "+".join(parts))
                if name not in found:  # combinations of options that the recipe has not
                    own_settings = of_all[recipe.name]
                    found[name] = Configuration(name, recipe, model, own_settings, fit.on_texts, searched, fit.variant)
    return found


def base_names(models: Sequence[str | Path]) -> dict[str, str]:
    """The name of each base model in results, by the model: `base` if there is one, otherwise `base NAME`."""
    short = _short_names(models)
    return {model: BASE if len(short) == 1 else f"{BASE} {name}" for model, name in short.items()}


def parse_search(given: Sequence[str], recipes: Sequence[Recipe]) -> dict[str, list[str]]:
    """Values as the command line has them: `learning_rate=1e-5,2e-5`; an option may be repeated for more values.

    Commas separate values, except for an option whose value is a text and may contain commas, such as `lora_targets`.

    Raises:
        InputError: A part is not KEY=VALUE, or a value is listed twice.
    """
    found: dict[str, list[str]] = {}
    for each in given:
        key, equals, text = each.partition("=")
        key = key.strip()
        if not equals or not key or not text.strip():
            problem = f"expected KEY=VALUE,..., got {each!r}"
            raise InputError(problem, field=_FIELD, remedy="use e.g. learning_rate=1e-5,2e-5")
        kinds = [get_type_hints(recipe.options).get(key.rpartition(".")[2]) for recipe in recipes]
        for value in [text] if str in kinds else text.split(","):
            values = found.setdefault(key, [])
            if value.strip() in values:
                raise InputError(f"{key}={value.strip()} is listed twice", field=_FIELD, remedy="list it once")
            values.append(value.strip())
    return found


def _takes(recipe: Recipe, key: str) -> bool:
    point, _, option = key.rpartition(".")
    return point in ("", recipe.name) and option in get_type_hints(recipe.options)


def _short_names(models: Sequence[str | Path]) -> dict[str, str]:
    """The last part of each model's name, with a number where two are equal."""
    found: dict[str, str] = {}
    for model in models:
        short = Path(model).name or str(model)
        start, number = start_of(model), sum(other.partition("#")[0] == short for other in found.values())
        found.setdefault(start, f"{short}#{number + 1}" if number else short)
    return found
