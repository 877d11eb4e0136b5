"""The recipe of docs/new-recipe.md, put where recipes lie, is listed, shown and trained by the command line."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearfar import recipes
from nearfar.cli.app import run

PAGE = (Path(__file__).parents[2] / "docs" / "new-recipe.md").read_text("utf-8")


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (name, text), *others = re.findall(r'^```python title="(\w+)\.py"\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)
    assert name == "logq"
    assert not others
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / f"{name}.py").write_text(text, "utf-8")
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f"nearfar.recipes.{name}", raising=False)
    yield
    sys.modules.pop(f"nearfar.recipes.{name}", None)
    if hasattr(recipes, name):
        delattr(recipes, name)


def test_it_is_well_under_a_hundred_lines() -> None:
    code = re.search(r'title="logq.py"\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)
    assert code is not None
    assert len(code[1].splitlines()) < 90


@pytest.mark.usefixtures("registered")
def test_it_is_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "logq" in recipes.names()
    assert run(["recipes", "logq", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["options"]["strength"] == 1.0
    assert "Yi" in shown["paper"]


@pytest.mark.usefixtures("registered")
def test_it_trains(tmp_path: Path, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "pairs.csv", tmp_path / "run"
    with data.open("w", newline="") as file:
        pairs = [["anchor", "positive"], ["the cat", "mat"], ["a dog", "mat"], ["sky", "blue"], ["sea", "fish"]]
        csv.writer(file).writerows(pairs)
    arguments = ["train", "logq", "--data", str(data), "--model", str(tiny_model_folder), "--out", str(out)]
    assert run([*arguments, "--set", "strength=-1"]) == 2
    assert "strength" in capsys.readouterr().err
    assert run([*arguments, "--set", "batch_size=2", "--set", "epochs=1"]) == 0
    assert (out / "model" / "modules.json").is_file()
