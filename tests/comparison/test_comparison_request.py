"""What a comparison was asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from nearfar.comparison.configurations import start_of
from nearfar.comparison.request import Request, chosen_recipes
from nearfar.errors import InputError
from nearfar.recipes import names

MINE = """
from nearfar.kinds.options import TrainingOptions
from nearfar.recipes import Recipe

RECIPE = Recipe("{name}", {{"rows": ("pairs",)}}, TrainingOptions, lambda *_: None)
"""


def request(**more: Any) -> Request:
    return Request([], "rows.jsonl", **more)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"seeds": 0}, "--seeds"),
        ({"budget": 0.0}, "--budget"),
        ({"budget": -1.0}, "--budget"),
        ({"budget": float("inf")}, "--budget"),
        ({"budget": float("nan")}, "--budget"),
        ({"budget": 5.0, "settings": {"epochs": 2}}, "settings"),
        ({"budget": 5.0, "settings": {"infonce.max_steps": 2}}, "settings"),
    ],
)
def test_what_does_not_go_together(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        request(**settings).check()
    assert caught.value.field == field


def test_what_goes_together() -> None:
    request(seeds=1, budget=0.5, settings={"batch_size": 8, "infonce.temperature": 0.1}).check()
    request(settings={"epochs": 2, "max_steps": 3}).check()


def test_every_recipe_once(tmp_path: Path) -> None:
    assert [recipe.name for recipe in chosen_recipes(None)] == list(names())
    assert [recipe.name for recipe in chosen_recipes(["simcse", "infonce", "simcse"])] == ["simcse", "infonce"]
    assert [recipe.name for recipe in chosen_recipes("simcse")] == ["simcse"]
    (tmp_path / "mine.py").write_text(MINE.format(name="infonce"))
    with pytest.raises(InputError) as caught:
        chosen_recipes(["infonce", str(tmp_path / "mine.py")])
    assert (caught.value.file, caught.value.field) == (tmp_path / "mine.py", "RECIPE")


def test_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").touch()
    (tmp_path / "mine.py").write_text(MINE.format(name="mine"))
    found = Request(chosen_recipes(["infonce", "./mine.py"]), "rows.jsonl", settings={"epochs": 2}).recorded()
    assert found["data"] == str(tmp_path / "rows.jsonl")
    assert found["held_out"] == 0.2
    assert found["options"] == {"epochs": "2"}
    # A recipe of the user's own is known by what it says.
    assert found["recipe_files"] == {"mine": hashlib.sha256((tmp_path / "mine.py").read_bytes()).hexdigest()}
    given = request(evaluate_on="user/held", columns={"anchor": "q"}, evaluation_columns={}).recorded()
    assert (given["held_out"], given["evaluation"]) == (None, "user/held")
    assert (given["columns"], given["evaluation_columns"]) == ({"anchor": "q"}, {})
    assert "recipe_files" not in given


def test_a_model_is_named_as_processes_in_any_folder_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    assert start_of("model") == str(tmp_path / "model")
    assert start_of("minilm") == "minilm"
