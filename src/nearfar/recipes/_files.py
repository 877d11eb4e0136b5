"""A recipe in a file of the user's own: `nearfar train ./my_recipe.py`."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from nearfar.errors import InputError
from nearfar.recipes._recipe import About, Recipe

__all__ = ["is_file", "place_in_file", "recipe_of_file"]

#: What the modules of such files are called.
_MODULE = "nearfar_recipe_"


def is_file(name: str) -> bool:
    """Whether a recipe is named by its path."""
    return name.endswith(".py")


def recipe_of_file(path: str | Path) -> Recipe:
    """The `RECIPE` of a Python file. The file is run: it is the user's own code, named by the user.

    Raises:
        InputError: there is no such file, it does not run, or it has no recipe.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise InputError("no such file", file=path, field="RECIPE", remedy="check the path")
    name = f"{_MODULE}{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name to resolve annotations.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except Exception as error:
        line = error.lineno if isinstance(error, SyntaxError) else (place_in_file(error) or (None, None))[1]
        problem = f"does not run ({type(error).__name__}: {error})"
        raise InputError(problem, file=path, line=line, remedy="fix the file") from error
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        got = "nothing" if recipe is None else f"a {type(recipe).__name__}"
        remedy = "end the file with RECIPE = nearfar.recipes.Recipe(...)"
        raise InputError(f"expected a Recipe named RECIPE, got {got}", file=path, field="RECIPE", remedy=remedy)
    said = recipe.about or About(summary=(module.__doc__ or "").strip().partition("\n")[0])
    return replace(recipe, file=file, about=said)


def place_in_file(error: BaseException) -> tuple[Path, int] | None:
    """The file of a user's own recipe, and its line, from which an exception came; None where none took part."""
    found, trace = None, error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if str(frame.f_globals.get("__name__", "")).startswith(_MODULE):
            found = Path(frame.f_code.co_filename), trace.tb_lineno
        trace = trace.tb_next
    return found
