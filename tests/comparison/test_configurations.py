"""All combinations of recipes, base models and options, and the option that lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nearfar.comparison.configurations import base_names, configurations, one_of_each, parse_search
from nearfar.comparison.fitting import Fit
from nearfar.comparison.request import Request
from nearfar.errors import InputError
from nearfar.recipes import get


def made(*recipes: str, **more: Any) -> list[str]:
    request = Request([get(name) for name in recipes], "rows.jsonl", **more)
    return list(configurations(request, [Fit(name) for name in recipes]))


def test_all_combinations():
    assert made("infonce", search={"learning_rate": [1e-5, "5e-5"], "lora_rank": [0, 16]}) == [
        "infonce+learning_rate=1e-05+lora_rank=0",
        "infonce+learning_rate=1e-05+lora_rank=16",
        "infonce+learning_rate=5e-5+lora_rank=0",
        "infonce+learning_rate=5e-5+lora_rank=16",
    ]
    assert made("infonce", "simcse", model=["minilm", "user/other"]) == [
        "infonce+minilm",
        "infonce+other",
        "simcse+minilm",
        "simcse+other",
    ]


def test_an_option_of_one_recipe_is_searched_for_it_alone():
    """The other is trained once."""
    assert made("infonce", "dse", search={"dse.alpha": [0.5, 1]}) == ["infonce", "dse+dse.alpha=0.5", "dse+dse.alpha=1"]


def test_settings_hold_for_all():
    request = Request([get("infonce")], "rows.jsonl", settings={"epochs": 2}, search={"lora_rank": ["0", "16"]})
    found = configurations(request, [Fit("infonce", on_texts=True)])
    assert [dict(each.settings) for each in found.values()] == [
        {"epochs": 2, "lora_rank": "0"},
        {"epochs": 2, "lora_rank": "16"},
    ]
    assert all(each.on_texts for each in found.values())


def test_a_recipe_is_on_every_variant_that_it_is_compatible_with():
    request = Request([get("infonce"), get("dse")], "rows.jsonl", search={"lora_rank": [0, 16]})
    fitting = [
        Fit("infonce"),
        Fit("dse", "needs scores"),
        Fit("infonce", variant="mined"),
        Fit("dse", variant="scored"),
    ]
    found = configurations(request, fitting)
    assert [(each.name, each.variant) for each in found.values()] == [
        ("infonce+lora_rank=0", ""),
        ("infonce+lora_rank=16", ""),
        ("infonce+mined+lora_rank=0", "mined"),
        ("infonce+mined+lora_rank=16", "mined"),
        ("dse+scored+lora_rank=0", "scored"),
        ("dse+scored+lora_rank=16", "scored"),
    ]
    one = one_of_each(request, fitting, {"infonce": {"epochs": 2}, "dse": {}})
    assert {name: (each.recipe.name, each.variant, dict(each.settings)) for name, each in one.items()} == {
        "infonce": ("infonce", "", {"epochs": 2}),
        "infonce+mined": ("infonce", "mined", {"epochs": 2}),
        "dse+scored": ("dse", "scored", {}),
    }


def test_set_and_searched():
    with pytest.raises(InputError, match="--search"):
        made("infonce", settings={"lora_rank": 4}, search={"lora_rank": [0, 16]})


def test_an_unknown_option_is_blamed_on_what_named_it():
    with pytest.raises(InputError, match=r"^--search: unknown option 'nonsense'"):
        made("infonce", search={"nonsense": [1, 2]})
    with pytest.raises(InputError, match=r"^settings: unknown option 'nonsense'"):
        made("infonce", settings={"nonsense": 1}, search={"lora_rank": [0, 16]})


def test_base_models_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert base_names(["minilm"]) == {"minilm": "base"}
    monkeypatch.chdir(tmp_path)
    for folder in ("a/model", "b/model"):
        Path(folder).mkdir(parents=True)
    names = list(base_names(["a/model", "b/model", "minilm"]).values())
    assert len(set(names)) == 3
    assert names[0] == "base model"
    assert names[2] == "base minilm"


def test_values_of_the_command_line():
    infonce = [get("infonce")]
    assert parse_search(["learning_rate=1e-5, 2e-5", "lora_rank=0,16"], infonce) == {
        "learning_rate": ["1e-5", "2e-5"],
        "lora_rank": ["0", "16"],
    }
    # The value of this one is a text with commas.
    assert parse_search(["lora_targets=query,value", "lora_targets=key"], infonce) == {
        "lora_targets": ["query,value", "key"]
    }
    assert parse_search(["lora_rank=0", "lora_rank=16"], infonce) == {"lora_rank": ["0", "16"]}
    for wrong in ("lora_rank", "lora_rank=", "=1", "lora_rank=8,8"):
        with pytest.raises(InputError, match="--search"):
            parse_search([wrong], infonce)
