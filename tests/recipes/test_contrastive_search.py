"""SimCTG: what the term does to a model; the decoding itself is tested in tests/decoding."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

import nearfar
from nearfar import train
from nearfar.decoding import isotropy
from nearfar.errors import InputError
from nearfar.models.language import load_language_model
from nearfar.recipes import contrastive_search

WORDS = ["a", "the", "cat", "dog", "sits", "runs", "on", "mat", "grass", "green", "sky", "sea", "bird", "swims", "in"]
SETTINGS: dict[str, Any] = {"max_steps": 6, "batch_size": 4, "max_length": 24, "learning_rate": 3e-3, "held_out": 0.2}


def documents() -> Dataset:
    rng = random.Random(0)
    return Dataset.from_dict({"text": [" ".join(rng.choices(WORDS, k=12)) for _ in range(40)]})


@pytest.fixture(scope="module")
def runs(tiny_lm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[float, Any]:
    out = tmp_path_factory.mktemp("simctg")
    return {
        weight: nearfar.train(
            "contrastive_search",
            documents(),
            model=tiny_lm_folder,
            out=out / str(weight),
            weight=weight,
            margin=0.9,
            **SETTINGS,
        )
        for weight in (0.0, 20.0)
    }


def test_the_term_makes_states_differ(runs: dict[float, Any]) -> None:
    plain, pushed = (run.metrics["isotropy"] for run in runs.values())
    assert plain["before"] == pushed["before"]
    assert pushed["after"] > plain["after"] + 0.05


def test_the_folder_holds_a_model_that_loads(runs: dict[float, Any]) -> None:
    folder = runs[20.0].folder
    model, tokenizer = load_language_model(folder / "model", "cpu")
    kept = json.loads((folder / "metrics.json").read_text("utf-8"))["isotropy"]
    # What was measured at the end is what was saved; the documents measured are those not held out.
    found = isotropy(model, tokenizer, documents()["text"], max_length=24)[-1].isotropy
    assert found == pytest.approx(kept["after"], abs=0.05)
    assert found > kept["before"]
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize("settings", [{"margin": 3}, {"margin": -0.1}, {"weight": -1}])
def test_settings_out_of_range(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        contrastive_search.Options(**settings)


def test_a_model_must_be_named() -> None:
    unnamed = replace(contrastive_search.RECIPE, model=None)
    with pytest.raises(InputError, match="--model: "):
        train(unnamed, documents())
