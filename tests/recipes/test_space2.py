"""SPACE-2: datasets with different vocabularies from the command line, unlabelled texts beside them, a map to edit."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from nearfar.cli.app import run as nearfar
from nearfar.data import write_jsonl
from nearfar.data.trees import tree_of
from nearfar.errors import InputError
from nearfar.evaluation.tasks.few_shot import intra_inter
from nearfar.losses.annotation_trees import TreeLoss
from nearfar.mining.streams import UNLABELLED
from nearfar.models import load
from nearfar.recipes.space2 import Options, prepare
from nearfar.training.run import train
from plans import first_stage

ACTS = {"REQUEST": "what {} is it?", "INFORM": "it is the {}", "THANK_YOU": "bye bye my {}"}
SLOTS = {"colour": ("blue", "green", "red"), "pet": ("cat", "dog", "fish"), "weather": ("rain", "snow", "sun")}
QUICK = {"batch_size": 8, "max_steps": 3, "learning_rate": 1e-3, "save_steps": 99, "max_length": 0, "head": 16}
SAID = [(act, slot, word) for act in ACTS for slot, words in SLOTS.items() for word in words]


def dialogues() -> list[dict[str, Any]]:
    """With domains and frames."""
    return [
        {
            "dialogue_id": f"d{start}",
            "domain": ["Talk"],
            "turns": [
                {"speaker": "USER", "text": ACTS[act].format(word), "frames": [[act, slot, word]]}
                for act, slot, word in SAID[start::3]
            ],
        }
        for start in range(3)
    ]


def turns() -> list[dict[str, Any]]:
    """Without domains and frames, and with other names; one of three is not annotated."""
    names = {"THANK_YOU": "thankyou", "INFORM": "inform", "REQUEST": "ask"}
    return [
        {"dialogue_id": "t", "speaker": "u", "text": f"well {ACTS[act].format(word)}"}
        | ({"acts": [names[act]], "slots": [f"{slot}s={word}"]} if number % 3 else {"acts": None, "slots": None})
        for number, (act, slot, word) in enumerate(SAID)
    ]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_jsonl(dialogues(), tmp_path / "dialogues.jsonl")
    write_jsonl(turns(), tmp_path / "turns.jsonl")
    write_jsonl([{"text": f"{word} {act.lower()}"} for act, _, word in SAID], tmp_path / "texts.jsonl")
    return tmp_path


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    return load(tiny_model_folder, device="cpu")


@pytest.fixture
def masked_folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A BERT with the head of its pre-training."""
    folder = tmp_path / "masked"
    words = AutoTokenizer.from_pretrained(str(tiny_model_folder))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertForMaskedLM(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def command(files: Path, model: Path, *more: str, data: tuple[str, ...] = ("dialogues", "turns", "texts")) -> int:
    sources = [part for name in data for part in ("--data", str(files / f"{name}.jsonl"))]
    settings = [part for key, value in QUICK.items() for part in ("--set", f"{key}={value}")]
    return nearfar(["train", "space2", *sources, "--model", str(model), "--json", *settings, *more])


def test_datasets_with_different_names_and_the_proposed_map(
    files: Path, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, file = files / "run", files / "run" / "map.csv"
    assert command(files, tiny_model_folder, "--out", str(out)) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert {each["dataset"]: each["rows"] for each in found["drawn"]} == {
        "dialogues": 27,
        "turns": 18,
        UNLABELLED: 45,
    }
    assert found["names_joined"] == 4
    assert str(file) in captured.err
    assert "masked language modelling" in captured.err
    assert "turns,act,thankyou,thank_you" in file.read_text().splitlines()
    assert SentenceTransformer(str(out / "model"), device="cpu").encode(["hello"]).shape == (1, 32)
    # Edited, it is used as it is, and no other one is proposed.
    file.write_text(file.read_text().replace("turns,act,ask,ask", "turns,act,ask,request"))
    again = files / "again"
    assert command(files, tiny_model_folder, "--out", str(again), "--map", str(file)) == 0
    assert "names_joined" not in json.loads(capsys.readouterr().out)
    assert not (again / "map.csv").exists()
    # A mistake is named with its place.
    file.write_text(file.read_text() + "turns,act,askk,request\n")
    assert command(files, tiny_model_folder, "--out", str(files / "third"), "--map", str(file)) == 2
    assert f"{file}:{len(file.read_text().splitlines())}: name" in capsys.readouterr().err
    assert not (files / "third").exists()


def test_a_map_for_a_recipe_without_one(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--data", str(files / "texts.jsonl"), "--map", "map.csv"]
    assert nearfar(["train", "simcse", *more]) == 2
    assert "'map'" in capsys.readouterr().err
    assert command(files, files, "--map", "a.csv", "--set", "map=b.csv") == 2


def test_trees_have_common_names(model) -> None:
    rows = {"one": Dataset.from_list(dialogues()), "two": Dataset.from_list(turns())}
    stage = first_stage(prepare)(model, DatasetDict(rows), Options(**QUICK))
    loss = stage.loss
    assert isinstance(loss, TreeLoss)
    assert stage.batches == {"one": "shuffled", "two": "shuffled", UNLABELLED: "no_duplicates"}
    # "bye bye my sun", of both datasets: the second has no domain.
    first = next(row["label"] for row in stage.rows["one"] if row["anchor"] == "bye bye my sun")
    second = next(row["label"] for row in stage.rows["two"] if row["anchor"] == "well bye bye my sun")
    sets = loss.sets[loss.tree[[first, second]]]
    assert [bool((view[0] == view[1]).all()) for view in sets.transpose(0, 1)] == [
        *(False, True, True, True),
        *(False, True, True),
        *(False, True, False),
    ]


def test_intents_of_labelled_texts(model) -> None:
    rows = Dataset.from_dict({"text": list("abcdefgh"), "label": [0, 0, 1, 1, 2, 2, 3, 3], "domain": ["x"] * 8})
    loss = first_stage(prepare)(model, rows, Options(**QUICK)).loss
    assert isinstance(loss, TreeLoss)
    assert len(loss.sets) == 5
    assert loss.tree.tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("targets", ["views", "combined", "equal"])
def test_the_same_seed_gives_the_same_and_heads_are_not_saved(
    tiny_model_folder: Path, masked_folder: Path, targets: str, tmp_path: Path
) -> None:
    """With the head of masked language modelling: encoder and head are trained, the encoder alone is saved."""
    rows = Dataset.from_list(dialogues() + dialogues())
    runs = [
        train("space2", rows, model=masked_folder, out=tmp_path / str(k), **{**QUICK, "targets": targets})
        for k in range(2)
    ]
    without = train("space2", rows, model=masked_folder, out=tmp_path / "2", **{**QUICK, "targets": targets, "mlm": 0})
    loaded = SentenceTransformer(str(tmp_path / "0" / "model"), device="cpu")
    assert [type(module).__name__ for module in loaded] == ["Transformer", "Pooling"]
    texts = ["what blue is it?", "bye bye my cat"]
    np.testing.assert_array_equal(runs[0].model.encode(texts), runs[1].model.encode(texts))
    np.testing.assert_allclose(loaded.encode(texts), runs[0].model.encode(texts), atol=1e-6)
    assert not np.allclose(without.model.encode(texts), loaded.encode(texts), atol=1e-4)


def test_an_encoder_without_a_head_is_said(model, caplog: pytest.LogCaptureFixture) -> None:
    rows = Dataset.from_list(dialogues())
    with caplog.at_level(logging.WARNING):
        first_stage(prepare)(model, rows, Options(**QUICK, mlm=0))
        assert not caplog.records
        loss = first_stage(prepare)(model, rows, Options(**QUICK)).loss
    assert isinstance(loss, TreeLoss)
    assert loss.masked is None
    assert len(caplog.records) == 1


def test_resumed_it_is_the_same(masked_folder: Path, tmp_path: Path) -> None:
    rows = Dataset.from_list(dialogues())
    settings = {**QUICK, "save_steps": 2, "model": masked_folder}
    train("space2", rows, out=tmp_path / "part", **{**settings, "max_steps": 2})
    longer = train("space2", rows, out=tmp_path / "part", resume=True, **{**settings, "max_steps": 4})
    assert longer.metrics["steps"] == 4


def test_turns_of_one_act_gather(tiny_model_folder: Path, tmp_path: Path) -> None:
    def closeness(model: SentenceTransformer) -> float:
        within, between = intra_inter(model.encode(texts), [act for act, _, _ in SAID])
        return within - between

    texts = [ACTS[act].format(word) for act, _, word in SAID]
    settings = {**QUICK, "max_steps": 25, "batch_size": 16}
    run = train("space2", Dataset.from_list(dialogues()), model=tiny_model_folder, out=tmp_path / "run", **settings)
    assert closeness(run.model) > closeness(load(tiny_model_folder, device="cpu")) + 0.05


def test_rows_without_annotation_are_refused(model) -> None:
    with pytest.raises(InputError) as caught:
        prepare(model, Dataset.from_dict({"text": list("abcdefgh")}), Options(**QUICK))
    assert caught.value.field == "acts"


def test_the_example_of_the_docstring() -> None:
    assert tree_of(["trains"], ["inform"], ["destination=Bern"]) == {("trains", "inform", "destination", "bern")}
