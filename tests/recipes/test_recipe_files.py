"""A recipe in a file of the user's own: run, checked, and its faults found by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.errors import InputError
from nearfar.recipes import get
from nearfar.recipes._files import is_file, recipe_of_file

GOOD = '''"""Pulls pairs together.

More about it.
"""
from dataclasses import dataclass

from nearfar.kinds.options import TrainingOptions
from nearfar.recipes import About, Recipe


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Options.

    Args:
        pull: How hard.
    """

    pull: float = 0.5


RECIPE = Recipe("mine", {"rows": ("pairs",)}, Options, lambda *_: None)
'''


def written(folder: Path, text: str) -> Path:
    file = folder / "my_recipe.py"
    file.write_text(text)
    return file


def refused(file: str | Path) -> InputError:
    with pytest.raises(InputError) as caught:
        recipe_of_file(file)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_path_ends_like_python() -> None:
    assert is_file("./my_recipe.py")
    assert not is_file("infonce")


def test_a_recipe_is_read_and_known_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, GOOD)
    found = recipe_of_file(file)
    assert (found.name, found.options().pull) == ("mine", 0.5)  # type: ignore[attr-defined]
    assert found.file == file
    assert found.summary == "Pulls pairs together."
    # Wherever a path is given from, the file is the same.
    monkeypatch.chdir(tmp_path)
    assert recipe_of_file("my_recipe.py").file == file
    assert get("./my_recipe.py").name == "mine"
    written(tmp_path, GOOD.replace("0.5", "0.75"))
    assert recipe_of_file(file).options().pull == 0.75  # type: ignore[attr-defined]


def test_what_a_recipe_says_of_itself_stands_above_its_docstring(tmp_path: Path) -> None:
    said = GOOD.replace("lambda *_: None)", 'lambda *_: None, about=About(summary="Mine."))')
    assert recipe_of_file(written(tmp_path, said)).summary == "Mine."
    assert recipe_of_file(written(tmp_path, GOOD.partition('"""\n')[2])).summary == ""


def test_there_is_no_such_file(tmp_path: Path) -> None:
    error = refused(tmp_path / "none.py")
    assert (error.file, error.field) == (tmp_path / "none.py", "RECIPE")
    assert refused(tmp_path).field == "RECIPE"  # a folder is no file


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1\ny = (\n", 2),
        ("x = 1\n\ny = undefined\n", 3),
        ("import json\n\n\ndef read():\n    return json.loads('no')\n\n\nread()\n", 5),
        ("raise SystemError\n", 1),
    ],
)
def test_a_file_that_does_not_run_is_named_with_its_line(text: str, line: int, tmp_path: Path) -> None:
    """The innermost line of the user's own file, also where a library raised."""
    file = written(tmp_path, text)
    error = refused(file)
    assert (error.file, error.line) == (file, line)


def test_an_error_of_the_users_own_is_passed_on(tmp_path: Path) -> None:
    file = written(tmp_path, "from nearfar.errors import InputError\nraise InputError('is mine', field='own')\n")
    error = refused(file)
    assert (error.problem, error.field) == ("is mine", "own")


@pytest.mark.parametrize("text", ["x = 1\n", "RECIPE = 3\n", "RECIPE = None\n", "recipe = 1\n"])
def test_a_file_without_a_recipe(text: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    error = refused(file)
    assert (error.file, error.field) == (file, "RECIPE")
    assert "int" in str(error) if text == "RECIPE = 3\n" else True
