"""Rows that are made anew whenever they are drawn: by seed, epoch and row alone, whatever process makes them."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from nearfar.kinds._sampling import Epochs, RunBatches, parts_of
from nearfar.kinds._views import DrawnRows
from nearfar.kinds.kind import Setting
from nearfar.kinds.loading import of
from nearfar.kinds.options import TowerOptions
from nearfar.kinds.plan import RowViews, Stage
from nearfar.losses import ContrastLoss
from nearfar.models import load

ROWS = Dataset.from_dict({"text": [f"the cat sits {n}" for n in range(6)], "label": list(range(6))})


def drawn_twice(row: Mapping[str, Any], rng: random.Random) -> dict[str, str]:
    words = row["text"].split()
    return {"anchor": " ".join(rng.sample(words, 3)), "positive": " ".join(rng.sample(words, 2))}


VIEWS = RowViews(drawn_twice, {"anchor": "text", "positive": "text"})


def test_the_same_row_has_other_views_in_another_epoch_and_with_another_seed() -> None:
    rows = DrawnRows(ROWS, VIEWS, 3)
    first = rows.__getitems__(list(range(6)))
    assert first == [rows[n] for n in range(6)]
    assert [row["anchor"].split()[-1] for row in first] != [row["anchor"] for row in first]
    assert rows.__getitems__(list(range(6, 12))) != first
    assert DrawnRows(ROWS, VIEWS, 4).__getitems__(list(range(6))) != first
    assert rows.__getitems__([5, 0]) == [first[5], first[0]]
    assert len(rows) == 6


def test_numbers_of_batches_say_the_epoch() -> None:
    stage = Stage(ROWS, ContrastLoss(torch.nn.Identity()), batches="shuffled", views=VIEWS)  # type: ignore[arg-type]
    epochs = Epochs(parts_of(stage, TowerOptions(batch_size=3)), 0)
    plain, numbered = (list(RunBatches(epochs, 4, with_epoch=kind)) for kind in (False, True))
    assert [[number % 6 for number in batch] for batch in numbered] == plain
    assert [{number // 6 for number in batch} for batch in numbered] == [{0}, {0}, {1}, {1}]


def trainer(folder: Path, model_folder: Path, workers: int = 0) -> Any:
    model = load(model_folder, device="cpu")
    options = TowerOptions(batch_size=3, max_steps=4, workers=workers)
    stage = Stage(ROWS, ContrastLoss(model), batches="shuffled", views=VIEWS)
    return of(model).trainer(stage, options, Setting(folder, 0))  # type: ignore[attr-defined]


def test_the_loss_gets_the_columns_that_were_made(tiny_model_folder: Path, tmp_path: Path) -> None:
    made = trainer(tmp_path, tiny_model_folder)
    batch = next(iter(made.get_train_dataloader()))
    columns, labels = made.collect_features(batch)
    assert labels is None
    assert [column["input_ids"].shape[0] for column in columns] == [3, 3]
    assert columns[0]["attention_mask"].sum() > columns[1]["attention_mask"].sum()


def test_processes_make_the_same_batches(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "to be restored")
    monkeypatch.delenv("TOKENIZERS_PARALLELISM")
    found = [list(trainer(tmp_path, tiny_model_folder, workers).get_train_dataloader()) for workers in (0, 2)]
    assert len(found[0]) == len(found[1]) == 4
    for one, other in zip(*found, strict=True):
        assert one.keys() == other.keys()
        for name, values in one.items():
            assert torch.equal(values, other[name]) if isinstance(values, torch.Tensor) else values == other[name]
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


def test_prompts_follow_the_column_that_a_view_shows(tiny_model_folder: Path, tmp_path: Path) -> None:
    model = load(tiny_model_folder, device="cpu")
    model.prompts, model.default_prompt_name = {"text": "blue "}, "text"
    stage = Stage(ROWS, ContrastLoss(model), batches="shuffled", views=VIEWS)
    made: Any = of(model)
    prompts = made.trainer(stage, TowerOptions(batch_size=3, max_steps=1), Setting(tmp_path, 0)).prompts
    assert prompts == {"anchor": "blue ", "positive": "blue "}
