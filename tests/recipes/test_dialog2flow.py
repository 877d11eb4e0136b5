"""Dialog2Flow: from annotated dialogues to a plan, and from a plan to a model that loads anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformer

from nearfar.cli.app import run as nearfar
from nearfar.data.actions import labelled_utterances
from nearfar.errors import InputError
from nearfar.evaluation.tasks.few_shot import intra_inter
from nearfar.kinds.encoder import Encoder
from nearfar.kinds.kind import Setting
from nearfar.losses import LabelledPairsLoss
from nearfar.models import load
from nearfar.recipes.dialog2flow import RECIPE, Options, prepare
from nearfar.training.run import train
from plans import first_stage

ACTS = {"REQUEST": "what {} is it?", "INFORM": "it is the {}", "GOODBYE": "bye bye my {}"}
SLOTS = {"colours": ("blue", "green", "red"), "animals": ("cat", "dog", "fish"), "weather": ("rain", "snow", "sun")}
QUICK = {"batch_size": 8, "max_steps": 3, "learning_rate": 1e-3, "save_steps": 99, "max_length": 0}


def dialogues() -> Dataset:
    found = []
    for number in range(6):
        turns = [
            {"speaker": "USER", "text": text.format(words[number % 3]), "acts": [act], "slots": [slot]}
            for act, text in ACTS.items()
            for slot, words in SLOTS.items()
        ]
        found.append({"dialogue_id": f"d{number}", "turns": turns})
    return Dataset.from_list(found)


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    return load(tiny_model_folder, device="cpu")


@pytest.fixture
def quick(tiny_model_folder: Path) -> dict:
    return {**QUICK, "label_encoder": str(tiny_model_folder), "head": 16}


def test_single_labels_are_acts_and_slots(model, quick) -> None:
    plan = first_stage(prepare)(model, dialogues(), Options(**quick))
    assert isinstance(plan.loss, LabelledPairsLoss)
    assert plan.loss.label_vectors is not None
    assert plan.loss.label_vectors.shape == (9, 32)
    assert len(plan.rows) == 9 * 5
    starts = {"request": "what", "inform": "it is", "good bye": "bye bye"}
    names = sorted(f"{act} {slot}" for act in starts for slot in ("colour", "animal", "weather"))
    for row in plan.rows:
        act, _, slot = names[row["label"]].rpartition(" ")
        words = SLOTS[slot if slot in SLOTS else slot + "s"]
        for text in (row["anchor"], row["positive"]):
            assert text.startswith(starts[act])
            assert any(word in text for word in words)


def test_label_vectors_are_those_of_the_names(model, quick, tiny_model) -> None:
    plan = first_stage(prepare)(model, dialogues(), Options(**quick))
    named = tiny_model.encode(["good bye animal", "request weather"], normalize_embeddings=True)
    assert isinstance(plan.loss, LabelledPairsLoss)
    assert plan.loss.label_vectors is not None
    np.testing.assert_allclose(plan.loss.label_vectors[[0, 8]], named, atol=1e-6)


def test_hard_targets_embed_no_names(model, quick) -> None:
    plan = first_stage(prepare)(
        model, dialogues(), Options(**{**quick, "label_encoder": "no such model"}, targets="hard")
    )
    assert isinstance(plan.loss, LabelledPairsLoss)
    assert plan.loss.label_vectors is None


def test_joint_has_a_data_set_and_a_head_for_acts_and_for_slots(model, quick) -> None:
    plan = first_stage(prepare)(model, dialogues(), Options(**quick, labels="joint"))
    assert isinstance(plan.rows, DatasetDict)
    assert {name: len(rows) for name, rows in plan.rows.items()} == {"act": 51, "slot": 51}
    assert {name: max(rows["label"]) for name, rows in plan.rows.items()} == {"act": 2, "slot": 2}
    heads = [loss.training_head for loss in plan.loss.values()]  # type: ignore[union-attr]
    assert heads[0] is not heads[1]
    assert not torch.equal(heads[0][0].weight, heads[1][0].weight)


@pytest.mark.parametrize("labels", ["single", "joint"])
def test_head_alone_learns_at_a_rate_of_its_own(model, quick, labels, tmp_path) -> None:
    options = Options(**quick, labels=labels, head_learning_rate=50)
    trainer = Encoder(model).trainer(first_stage(prepare)(model, dialogues(), options), options, Setting(tmp_path, 0))
    trainer.create_optimizer()
    assert trainer.optimizer is not None
    groups = [(group["lr"], weight.shape) for group in trainer.optimizer.param_groups for weight in group["params"]]
    heads = [torch.Size([32, 32]), torch.Size([16, 32])] * (2 if labels == "joint" else 1)
    assert sorted(shape for rate, shape in groups if rate == pytest.approx(0.05)) == sorted(heads)
    assert sorted({rate for rate, _ in groups}) == pytest.approx([1e-3, 0.05])
    assert len(groups) == len(list(model.parameters())) + len(heads)


@pytest.mark.parametrize("settings", [{}, {"labels": "joint"}, {"targets": "hard", "head": 0}])
def test_model_is_saved_without_its_head_and_the_same_seed_gives_the_same(
    tiny_model_folder, quick, settings, tmp_path
) -> None:
    runs = [
        train("dialog2flow", dialogues(), model=tiny_model_folder, out=tmp_path / str(k), **{**quick, **settings})
        for k in range(2)
    ]
    loaded = SentenceTransformer(str(tmp_path / "0" / "model"), device="cpu")
    assert [type(module).__name__ for module in loaded] == ["Transformer", "Pooling"]
    texts = ["what blue is it?", "bye bye my cat"]
    np.testing.assert_allclose(loaded.encode(texts), runs[0].model.encode(texts), atol=1e-6)
    np.testing.assert_array_equal(runs[0].model.encode(texts), runs[1].model.encode(texts))
    assert not np.allclose(loaded.encode(texts), load(tiny_model_folder, device="cpu").encode(texts), atol=1e-3)


def test_utterances_of_one_action_gather(tiny_model_folder, quick, tmp_path) -> None:
    def closeness(model: SentenceTransformer) -> float:
        within, between = intra_inter(model.encode(texts), labels)
        return within - between

    texts, labels = labelled_utterances(dialogues())
    settings = {**quick, "max_steps": 25, "batch_size": 16, "targets": "hard", "head_learning_rate": 1}
    run = train("dialog2flow", dialogues(), model=tiny_model_folder, out=tmp_path / "run", **settings)
    assert closeness(run.model) > closeness(load(tiny_model_folder, device="cpu")) + 0.05


def test_turns_from_the_command_line(tiny_model_folder, tmp_path, capsys) -> None:
    flat = [{"dialogue_id": row["dialogue_id"], **turn} for row in dialogues() for turn in row["turns"]]
    file, out = tmp_path / "turns.jsonl", tmp_path / "run"
    file.write_text("".join(json.dumps(row) + "\n" for row in flat))
    settings = {**QUICK, "label_encoder": tiny_model_folder, "head": 16}
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = ["train", "dialog2flow", "--data", file, "--model", tiny_model_folder, "--out", out, *options, "--json"]
    assert nearfar([str(part) for part in command]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 3
    assert SentenceTransformer(str(out / "model"), device="cpu").encode(["hello there"]).shape == (1, 32)


def labelled(labels: list) -> Dataset:
    texts = ["the cat sits", "a dog runs", "pay the bill", "my bank account"]
    return Dataset.from_dict({"text": texts, "label": labels})


def test_labelled_texts_and_labels_that_are_numbers(model, quick) -> None:
    plan = first_stage(prepare)(model, labelled(["pet", "pet", "money", "money"]), Options(**quick))
    assert len(plan.rows) == 2
    with pytest.raises(InputError, match=r"label: .* train with targets=hard"):
        first_stage(prepare)(model, labelled([0, 0, 1, 1]), Options(**quick))
    assert len(first_stage(prepare)(model, labelled([0, 0, 1, 1]), Options(**quick, targets="hard")).rows) == 2


@pytest.mark.parametrize(
    "wrong", [{"label_temperature": 0}, {"head": -1}, {"min_count": 0}, {"head_learning_rate": float("inf")}]
)
def test_options_out_of_range(wrong) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: invalid value"):
        Options(**wrong)


def test_rows_without_acts_are_refused_before_anything_is_written(tiny_model_folder, tmp_path) -> None:
    rows = dialogues().map(lambda row: {"turns": [{**turn, "acts": None} for turn in row["turns"]]})
    with pytest.raises(InputError, match=r"^acts: .*--columns acts="):
        train(RECIPE, rows, model=tiny_model_folder, out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()
