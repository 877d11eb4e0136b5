"""`nearfar recipes`."""

from __future__ import annotations

import pytest

from nearfar import recipes

from .conftest import Nearfar


def test_recipes_lists_all(nearfar: Nearfar):
    table = nearfar("recipes")
    assert (table.code, table.err) == (0, "")
    listed = nearfar("recipes", "--json").json["recipes"]
    assert [recipe["name"] for recipe in listed] == recipes.names()
    for recipe in listed:
        assert recipe["name"] in table.out
        assert recipe["url"].startswith("https://")
        assert recipe["needs"]


@pytest.mark.parametrize("name", recipes.names())
def test_recipes_shows_one_in_full(name: str, nearfar: Nearfar):
    shown, found = nearfar("recipes", name), nearfar("recipes", name, "--json").json
    assert (shown.code, shown.err) == (0, "")
    options = recipes.get(name).options()
    assert found["options"] == {option: getattr(options, option) for option in found["options"]}
    for text in (*found["options"], found["paper"], found["url"], *found["needs"], f"nearfar train {name}"):
        assert text in shown.out


def test_an_unknown_recipe_is_named_with_the_nearest(nearfar: Nearfar):
    ended = nearfar("recipes", "infonc")
    assert (ended.code, ended.out) == (2, "")
    assert "'infonc'" in ended.err
    assert "infonce" in ended.err.replace("'infonc'", "")
