"""A comparison's folder: what a resumed one must share with the one that was begun, and who may work in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nearfar.comparison.folder import ComparisonFolder
from nearfar.errors import InputError

#: As `nearfar.comparison.run` records it, without what decides nothing.
CONFIGURATION: dict[str, Any] = {
    "recipes": ["infonce", "mine"],
    "seeds": 3,
    "budget": None,
    "data": "/rows.jsonl",
    "columns": None,
    "evaluation": "/held.jsonl",
    "evaluation_columns": None,
    "held_out": None,
    "options": {"batch_size": "8"},
    "recipe_files": {"mine": "aa"},
    "sha256": ["bb", "cc"],
    "model": {"name": "minilm", "weights": "dd"},
    "command": "nearfar compare",
}
OTHERS: dict[str, Any] = {
    "data": "/other.jsonl",
    "columns": {"anchor": "q"},
    "evaluation": None,
    "evaluation_columns": {"anchor": "q"},
    "held_out": 0.3,
    "options": {"batch_size": "16"},
    "recipe_files": {"mine": "ee"},
    "sha256": ["bb", "ff"],
    "model": {"name": "minilm", "weights": "gg"},
    "budget": 30.0,
}


@pytest.mark.parametrize("field", OTHERS)
def test_a_comparison_is_resumed_only_as_it_was_begun(field: str, tmp_path: Path):
    folder = ComparisonFolder(tmp_path / "out")
    folder.claim(CONFIGURATION)
    with pytest.raises(InputError) as caught:
        folder.claim({**CONFIGURATION, field: OTHERS[field]})
    assert caught.value.field == ("options.batch_size" if field == "options" else field)
    assert yaml.safe_load(folder.configuration.read_text("utf-8")) == CONFIGURATION


def test_one_option_is_named_and_workers_decide_nothing(tmp_path: Path):
    folder = ComparisonFolder(tmp_path / "out")
    folder.claim(CONFIGURATION)
    more = {"workers": 4, "infonce.workers": 2}
    folder.claim({**CONFIGURATION, "options": {**CONFIGURATION["options"], **more}})
    folder.claim(CONFIGURATION)
    with pytest.raises(InputError, match=r"expected the default, .* got '0\.1'") as caught:
        folder.claim({**CONFIGURATION, "options": {**CONFIGURATION["options"], "infonce.temperature": "0.1"}})
    assert caught.value.field == "options.infonce.temperature"
    of_variant = {"variants": {"of.workers": {"source": "/mined.jsonl", "sha256": "hh"}}}
    folder.claim({**CONFIGURATION, **of_variant})
    with pytest.raises(InputError, match=r"variants: of\.workers"):
        folder.claim({**CONFIGURATION, "variants": {"of.workers": {"source": "/mined.jsonl", "sha256": "jj"}}})


def test_seeds_and_recipes_may_be_added_unless_they_share_minutes(tmp_path: Path):
    more = {"seeds": 5, "recipes": ["infonce", "mine", "simcse"], "command": "nearfar compare --resume"}
    folder = ComparisonFolder(tmp_path / "free")
    folder.claim(CONFIGURATION)
    folder.claim({**CONFIGURATION, **more})
    assert yaml.safe_load(folder.configuration.read_text("utf-8"))["seeds"] == 5
    shared = {**CONFIGURATION, "budget": 30.0}
    folder = ComparisonFolder(tmp_path / "shared")
    folder.claim(shared)
    folder.claim({**shared, "command": more["command"]})
    for field in ("seeds", "recipes"):
        with pytest.raises(InputError) as caught:
            folder.claim({**shared, field: more[field]})
        assert caught.value.field == field


def test_variants_may_be_added_and_are_the_same_rows(tmp_path: Path):
    mined, written = ({"source": "/mined.jsonl", "sha256": "hh"}, {"source": "/written.jsonl", "sha256": "ii"})
    one, both = {"variants": {"mined": mined}}, {"variants": {"mined": mined, "written": written}}
    folder = ComparisonFolder(tmp_path / "free")
    for more in ({}, one, both, one):
        folder.claim({**CONFIGURATION, **more})
    with pytest.raises(InputError) as caught:
        folder.claim({**CONFIGURATION, "variants": {"mined": {**mined, "sha256": "jj"}}})
    assert caught.value.field is not None
    assert "mined" in caught.value.field
    shared = ComparisonFolder(tmp_path / "shared")
    shared.claim({**CONFIGURATION, **one, "budget": 30.0})
    with pytest.raises(InputError) as caught:
        shared.claim({**CONFIGURATION, **both, "budget": 30.0})
    assert caught.value.field == "variants"


def test_files_are_whole_or_absent(tmp_path: Path):
    folder = ComparisonFolder(tmp_path)
    assert folder.read_budget() == {}
    folder.write_budget({"steps": {"infonce": 7}})
    assert folder.read_budget() == {"steps": {"infonce": 7}}
    with pytest.raises(ValueError, match="JSON"):
        folder.write_metrics({"score": float("nan")})
    assert not folder.metrics.exists()
    assert len({folder.run("a-0"), folder.run("a-1"), folder.result("a-0"), folder.result("a-1")}) == 4
