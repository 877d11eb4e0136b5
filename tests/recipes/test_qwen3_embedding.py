"""The recipe: equal texts are known, options reach the loss, and it trains from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.losses import JointDenominatorLoss
from nearfar.recipes import qwen3_embedding
from plans import first_stage

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky")


def pairs() -> Dataset:
    columns = {"anchor": [f"the {word}" for word in WORDS], "positive": [f"a {word} sits" for word in WORDS]}
    return Dataset.from_dict({**columns, "negative": ["the cat", *[f"a {word} flies" for word in WORDS[:-1]]]})


def test_equal_texts_have_equal_numbers_in_all_columns(tiny_model: SentenceTransformer) -> None:
    stage = first_stage(qwen3_embedding.prepare)(tiny_model, pairs(), qwen3_embedding.Options())
    labels = stage.rows["label"][:]
    assert [row[0] for row in labels] == list(range(8))
    assert labels[0][1] == labels[0][3]
    assert len({number for row in labels for number in row[1:]}) == 8 + 8 + 7
    assert isinstance(stage.loss, JointDenominatorLoss)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (True, True, 0.1)),
        ({"query_query": False, "mask": False}, (False, True, None)),
        ({"margin": 0}, (True, True, 0)),
    ],
)
def test_options_reach_the_loss(options, expected, tiny_model: SentenceTransformer) -> None:
    loss = first_stage(qwen3_embedding.prepare)(tiny_model, pairs(), qwen3_embedding.Options(**options)).loss
    assert (loss.queries, loss.documents, loss.margin) == expected


def test_the_command_trains(tiny_model_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "pairs.jsonl"
    write_jsonl(pairs().to_list(), data)
    command = ["train", "qwen3_embedding", "--data", str(data), "--eval", str(data), "--model", str(tiny_model_folder)]
    assert run([*command, "--set", "max_steps=2", "--set", "batch_size=4", "--out", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
