"""What holds for every recipe: it is short, and it says what it is."""

from __future__ import annotations

from dataclasses import fields
from importlib import resources
from pathlib import Path
from statistics import median

import pytest
import yaml

from nearfar import recipes

FOLDER = Path(recipes.__path__[0])
LENGTHS = {name: len((FOLDER / f"{name}.py").read_text("utf-8").splitlines()) for name in recipes.names()}
ABOUT = yaml.safe_load(resources.files("nearfar.recipes").joinpath("about.yaml").read_text("utf-8"))


def test_no_recipe_is_long() -> None:
    assert {name: lines for name, lines in LENGTHS.items() if lines > 130} == {}


def test_most_recipes_are_short() -> None:
    assert median(LENGTHS.values()) < 90


def test_about_describes_exactly_the_recipes_that_exist() -> None:
    assert list(ABOUT) == recipes.names()


@pytest.mark.parametrize("name", recipes.names())
def test_about_has_every_field_filled(name: str) -> None:
    said = ABOUT[name]
    assert set(said) == {field.name for field in fields(recipes.About)}
    assert set(said["paper"]) == {field.name for field in fields(recipes.Paper)}
    for field, text in {**said, **said["paper"]}.items():
        if field != "paper":
            assert str(text).strip(), field
    assert isinstance(said["paper"]["year"], int)
    assert said["paper"]["url"].startswith("https://")


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_states_its_claim_and_what_differs(name: str) -> None:
    lines = (FOLDER / f"{name}.py").read_text("utf-8").split('"""')[1].splitlines()
    for begins in ("Claim: ", "    ", ("Differences from the paper", "Not the authors' exact algorithm")):
        assert any(line.startswith(begins) for line in lines), begins
