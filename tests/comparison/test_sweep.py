"""A sweep over temperatures: which runs it makes, and by which columns its rows are read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset

from nearfar import geometry
from nearfar.comparison.sweep import temperature_sweep
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.models.encoding import encode
from nearfar.training import run as training

HELD = Dataset.from_dict({"text": [f"the {a} {i}" for i in range(4) for a in ("cat", "dog")], "label": ["a", "b"] * 4})


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tiny_model: Any) -> list[dict[str, Any]]:
    """What `train` was called with; it gives the model back as it is."""
    found: list[dict[str, Any]] = []

    def train(recipe: Any, data: Any, **how: Any) -> Any:
        found.append({"recipe": recipe.name, "data": data, **how})
        how["out"].mkdir(parents=True)
        (how["out"] / "run.yaml").touch()
        return SimpleNamespace(after=SimpleNamespace(score=len(found) / 10), model=tiny_model)

    monkeypatch.setattr(training, "train", train)
    return found


def test_each_line_at_each_temperature_once(runs: list[dict[str, Any]], tiny_model: Any, tmp_path: Path):
    lines = {"plain": {}, "a/b": {"batch_size": 4}}
    found = temperature_sweep(
        "infonce", "rows.jsonl", HELD, lines, temperatures=(0.5, 0.05, 0.5), out=tmp_path, seed=3, batch_size=8
    )
    assert [(run.name, run.temperature, run.accuracy) for run in found] == [
        ("plain", 0.5, 0.1), ("plain", 0.05, 0.2), ("a/b", 0.5, 0.3), ("a/b", 0.05, 0.4)
    ]  # fmt: skip
    assert [(run["temperature"], run["batch_size"], run["seed"]) for run in runs] == [
        (0.5, 8, 3), (0.05, 8, 3), (0.5, 4, 3), (0.05, 4, 3)
    ]  # fmt: skip
    assert [run["out"].name for run in runs] == ["plain-0.5", "plain-0.05", "a-b-0.5", "a-b-0.05"]
    vectors = encode(tiny_model, list(HELD["text"]))
    assert found[0].uniformity == pytest.approx(geometry.uniformity(vectors))
    assert found[0].tolerance == pytest.approx(geometry.tolerance(vectors, list(HELD["label"])))
    assert (tmp_path / "report.html").exists()


def test_only_runs_that_were_begun_are_resumed(runs: list[dict[str, Any]], tmp_path: Path):
    (tmp_path / "infonce-0.05").mkdir()
    (tmp_path / "infonce-0.05" / "run.yaml").touch()
    with pytest.raises(FileExistsError):  # of the `train` of these tests, which resumes nothing
        temperature_sweep("infonce", "rows.jsonl", HELD, temperatures=(0.5, 0.05), out=tmp_path, resume=True)
    assert [run["resume"] for run in runs] == [False, True]


def test_columns_of_the_training_rows_hold_for_the_others_only_where_they_fit(
    runs: list[dict[str, Any]], tmp_path: Path
):
    """As for a training."""
    plain, mapped = tmp_path / "plain.jsonl", tmp_path / "mapped.jsonl"
    write_jsonl(HELD, plain)  # type: ignore[arg-type]
    write_jsonl(HELD.rename_column("text", "body"), mapped)  # type: ignore[arg-type]
    how: dict[str, Any] = {"temperatures": (0.5,), "columns": {"text": "body"}}
    assert len(temperature_sweep("infonce", "rows.jsonl", mapped, out=tmp_path / "a", **how)) == 1
    assert len(temperature_sweep("infonce", "rows.jsonl", plain, out=tmp_path / "b", **how)) == 1
    assert [run["columns"] for run in runs] == [{"text": "body"}] * 2
    with pytest.raises(InputError):
        temperature_sweep("infonce", "rows.jsonl", mapped, out=tmp_path / "c", evaluation_columns={}, **how)


def test_mistakes_are_found_before_the_first_run(runs: list[dict[str, Any]], tmp_path: Path):
    pairs = Dataset.from_dict({"anchor": ["a", "b"], "positive": ["c", "d"]})
    for field, change in (
        ("temperatures", {"temperatures": ()}),
        ("temperature", {"temperatures": (0.5, -1.0)}),
        ("evaluation", {"evaluation": pairs}),
    ):
        with pytest.raises(InputError) as caught:
            temperature_sweep("infonce", "rows.jsonl", **{"evaluation": HELD, "out": tmp_path, **change})
        assert caught.value.field == field
    assert runs == []
