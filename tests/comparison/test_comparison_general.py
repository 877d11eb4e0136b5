"""What recipes forget, in a comparison: which set is measured, and what is said of the changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfar.comparison.general import add_general, changes, general_cell, general_rows, measured
from nearfar.comparison.request import Request
from nearfar.data import load, write_jsonl
from nearfar.errors import InputError
from nearfar.kinds.loading import of
from nearfar.reports.page import Page
from page_reading import read_page

ITEMS = 60
NOUNS = ("cat", "dog", "bird", "fish")


def run(change: float, seed: int = 0, **more: Any) -> dict[str, Any]:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(ITEMS) * (change != 0)
    values = np.linspace(0, 1, ITEMS) + change + noise
    score = float(values.mean())
    result = {"task": "retrieval", "primary": "ndcg@10", "n": ITEMS, "metrics": {"ndcg@10": score}}
    return {"general": {**result, "per_item": {"ndcg@10": values.tolist()}, **more}}


def found(**recipes: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {"base": [run(0)], **recipes}


def test_changes_are_from_the_base_model_and_paired() -> None:
    general = changes(found(infonce=[run(-0.2, 1), run(-0.2, 2)], simcse=[run(0.0)]), "builtin")
    assert general is not None
    assert (general["rows"], general["items"], general["metric"]) == ("builtin", ITEMS, "ndcg@10")
    assert general["base"] == pytest.approx(0.5)
    lost, same = general["changes"]["infonce"], general["changes"]["simcse"]
    assert lost["mean"] == pytest.approx(-0.2, abs=0.03)
    assert lost["low"] < lost["mean"] < lost["high"] < 0
    # Items differ by 0.3 among each other, so that only pairing gives so small an interval.
    assert lost["high"] - lost["low"] < 0.2
    assert same["mean"] == 0
    assert general_cell(general, "infonce").startswith("-0.")
    assert general_cell(general, "base") == ""


def test_results_of_earlier_versions_and_of_other_kinds_of_models() -> None:
    assert changes({"base": [{}], "infonce": [{}]}, "builtin") is None
    assert changes({"infonce": [run(0.1)]}, "builtin") is None
    general = changes(found(reranker=[{"general": None}], half=[run(0.1), {"general": None}]), "builtin")
    assert general is not None
    assert general["changes"] == {}


def test_the_page_has_the_figures() -> None:
    general = changes(found(infonce=[run(-0.2, 1)]), "builtin")
    assert general is not None
    page = Page("comparison")
    add_general(page, general)
    assert f"{ITEMS} items" in str(page.html())
    assert read_page(page) is not None


def request(tiny: Path, **more: Any) -> Request:
    return Request([], "rows.jsonl", model=tiny, **more)


def test_which_set_is_measured(tiny_model_folder: Path, tmp_path: Path) -> None:
    def rows(base: bool = True, **more: Any) -> str | None:
        return general_rows(request(tiny_model_folder, **more), tmp_path / "data", base=base)

    assert rows() == "builtin"
    assert rows(keep="builtin") == "builtin"
    assert rows(keep="none") is None
    assert rows(base=False) is None
    with pytest.raises(InputError) as raised:
        rows(base=False, keep="builtin")
    assert raised.value.field == "--keep"
    own = tmp_path / "own.jsonl"
    write_jsonl([{"anchor": f"the {noun}", "positive": f"a {noun}"} for noun in NOUNS], own)
    copy = rows(keep=own)
    assert copy is not None
    # Every run reads the copy, also after the file has changed.
    own.unlink()
    assert load(copy)["anchor"][:] == [f"the {noun}" for noun in NOUNS]


def test_own_rows_are_measured_with_values_per_item(tiny_model: Any, tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    write_jsonl([{"sentence1": f"the {a}", "sentence2": b, "score": len(a + b)} for a in NOUNS for b in NOUNS], own)
    result = measured(of(tiny_model), str(own))
    assert result is not None
    assert (result["task"], list(result["per_item"])) == ("sts", ["similarity", "score"])
    general = changes({"base": [{"general": result}], "infonce": [{"general": result}]}, "own.jsonl")
    assert general is not None
    assert general["changes"]["infonce"]["mean"] == 0
