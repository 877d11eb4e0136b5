"""What one run was asked for: checked before anything is read, and recorded so that it can be run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nearfar.errors import InputError
from nearfar.recipes import get
from nearfar.training.request import Request


def request(recipe: str = "infonce", **more: Any) -> Request:
    return Request(get(recipe), "rows.jsonl", **more)


def test_a_named_model_stands_above_the_recipes() -> None:
    assert request().start == get("infonce").model == "minilm"
    assert request(model="mine").start == "mine"
    assert request("contrastive_search", model=None).start == get("contrastive_search").model


def test_the_folder_is_called_by_the_recipe() -> None:
    assert request().folder == Path("runs", "infonce")
    assert request(out="here").folder == Path("here")


def test_documents_are_held_out_only_where_nothing_is_given_to_measure_on() -> None:
    assert request("lost", settings={"held_out": 0.25}).splits_documents
    assert not request("lost", settings={"held_out": 0}).splits_documents
    assert not request("lost", settings={"held_out": 0.25}, evaluation="held.txt").splits_documents
    assert not request().splits_documents


def test_following_a_metric_takes_something_to_measure_on() -> None:
    with pytest.raises(InputError) as caught:
        request(settings={"eval_steps": 5}).check()
    assert caught.value.field == "eval_steps"
    request(settings={"eval_steps": 5}, evaluation="held.jsonl").check()
    request("lost", settings={"eval_steps": 5, "held_out": 0.1}).check()
    with pytest.raises(InputError):
        request("lost", settings={"eval_steps": 5, "held_out": 0}).check()


def test_float16_takes_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        request(settings={"precision": "bfloat16"}).check()
        if there:
            request(settings={"precision": "float16"}).check()
        else:
            with pytest.raises(InputError) as caught:
                request(settings={"precision": "float16"}).check()
            assert caught.value.field == "precision"


def test_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "held.jsonl").touch()
    found = request(evaluation="held.jsonl", seed=7, columns={"anchor": "q"}, settings={"epochs": 3}).recorded()
    assert found["seed"] == 7
    assert found["evaluation"] == str(tmp_path / "held.jsonl")
    assert found["columns"] == {"anchor": "q"}
    assert found["evaluation_columns"] is None
    assert found["options"]["epochs"] == 3.0
    assert found["options"]["batch_size"] == get("infonce").options().batch_size
    several = request(columns=[{"anchor": "q"}, None], evaluation_columns={}).recorded()
    assert several["columns"] == [{"anchor": "q"}, {}]
    assert several["evaluation_columns"] == {}
    assert request().recorded()["columns"] is None
