"""One file a paper. A recipe is found by its file: put `recipes/<name>.py` with a `RECIPE` here, and it is listed."""

from __future__ import annotations

import difflib
import importlib.util
import pkgutil
import re

from nearfar.errors import InputError
from nearfar.kinds.plan import Plan, RowViews, Stage
from nearfar.recipes._files import is_file, place_in_file, recipe_of_file
from nearfar.recipes._recipe import About, Paper, Recipe

__all__ = ["About", "Paper", "Plan", "Recipe", "RowViews", "Stage", "get", "names", "place_in_file"]

# What other libraries and papers call a recipe, without marks and "loss".
_ALIASES = {
    **dict.fromkeys(("mnrl", "mnr", "multiplenegativesranking", "cachedmultiplenegativesranking"), "infonce"),
    **dict.fromkeys(("ntxent", "npair", "inbatchnegatives", "dpr", "biencoder", "gte", "cmnrl"), "infonce"),
    **dict.fromkeys(("clip", "openclip", "cliprocket", "siamlip", "byolip", "barlip", "swalip"), "vlp_baselines"),
    **dict.fromkeys(("mrl", "matryoshka", "matryoshka2d", "2dmatryoshka"), "matryoshka_2d"),
    **dict.fromkeys(("d2f", "dialogflow"), "dialog2flow"),
    **dict.fromkeys(("distill", "distillation", "marginmse", "distillkldiv", "kldiv"), "score_distillation"),
    **dict.fromkeys(("qwen", "qwen3", "qwen3embed", "qwenembedding"), "qwen3_embedding"),
}


def names() -> list[str]:
    """The names of all recipes, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def get(name: str) -> Recipe:
    """The recipe of that name, or in the file of that path (`./my_recipe.py`), which is run.

    Raises:
        InputError: there is none.
    """
    if is_file(str(name)):
        return recipe_of_file(name)
    if not _is_recipe(name):
        known = names()
        plain = re.sub(r"[\W_]|loss", "", name.casefold())
        close = [_ALIASES[plain]] if plain in _ALIASES else difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}, or name a file ./NAME.py"
        raise InputError(f"there is no recipe {name!r}", field="RECIPE", remedy=remedy)
    return importlib.import_module(f"{__name__}.{name}").RECIPE


def _is_recipe(name: str) -> bool:
    # Without the list of all files, which `nearfar recipes` would make once more for each of them.
    return (
        name.isidentifier() and not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is not None
    )
