"""The model card: what a user shows to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.evaluation import Interval, Result
from nearfar.training.card import _results

SECRETS = ["the secret cat", "a hidden dog", "money under the house", "the lost card", "a stolen bird", "no sun today"]


def trained(folder: Path, model: Path, *, evaluate: bool = True, **options) -> Any:
    rows = Dataset.from_dict({"anchor": SECRETS, "positive": [f"{text} again" for text in SECRETS]})
    held_out = Dataset.from_dict({"anchor": ["the cat", "a dog", "the sun"], "positive": ["cat", "dog", "sun | *x*"]})
    settings = {"max_steps": 4, "batch_size": 3, "learning_rate": 0.02, **options}
    nearfar.train("infonce", rows, model=str(model), evaluation=held_out if evaluate else None, out=folder, **settings)
    return ModelCard.load(folder / "model" / "README.md")


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Any:
    return trained(tmp_path_factory.mktemp("card") / "run", tiny_model_folder)


def test_the_metadata_are_what_the_hub_reads(card: Any):
    data = card.data.to_dict()
    assert data["library_name"] == "sentence-transformers"
    assert data["pipeline_tag"] == "sentence-similarity"
    assert data["tags"] == ["nearfar", "infonce"]
    assert "license" not in data  # the publisher's to choose: a comment says where
    assert str(card.content).count("license:") == 0
    assert "base_model" not in data  # a folder on this disk is no model of the Hub
    results = {result.metric_type: result for result in card.data.eval_results or []}
    assert results["ndcg@10"].task_type == "retrieval"
    assert 0 <= results["ndcg@10"].metric_value <= 1


def test_it_says_what_was_done(card: Any):
    text = card.text
    for part in ("van den Oord", "@misc{infonce2018", "| nDCG@10 |", "base model", "6 rows, SHA-256"):
        assert part in text, part
    for option in ("temperature", "batch_size", "learning_rate"):
        assert f"| {option} |" in text
    for use in ("SentenceTransformer(", "nearfar.load("):
        assert use in text


def test_it_quotes_no_rows_and_no_place_on_this_disk(card: Any, tiny_model_folder: Path):
    for text in (*SECRETS, "sun | *x*", str(tiny_model_folder.parent), "_recording", "_Recording"):
        assert text not in card.content


def test_the_change_has_its_interval():
    first, second = (Result("retrieval", "ndcg@10", {"ndcg@10": score}, n=90) for score in (0.5, 0.75))
    said = _results(first, second, Interval(0.25, 0.125, 0.375))
    assert "nDCG@10 changed by +0.250 (95% interval +0.125 to +0.375)" in said
    assert "| nDCG@10 | 0.5000 | 0.7500 |" in said
    assert "interval" not in _results(first, second, None)


def test_the_file_says_where_the_license_goes(tmp_path: Path, tiny_model_folder: Path):
    trained(tmp_path / "run", tiny_model_folder)
    lines = (tmp_path / "run" / "model" / "README.md").read_text("utf-8").splitlines()
    assert lines[0] == "---"
    assert lines[1].startswith("# license: to be filled in, see https://")


def test_the_model_loads_and_a_run_without_evaluation_says_so(tmp_path: Path, tiny_model_folder: Path):
    found = trained(tmp_path / "run", tiny_model_folder, evaluate=False)
    assert "Not evaluated: no evaluation data was given." in found.text
    assert not found.data.eval_results
    SentenceTransformer(str(tmp_path / "run" / "model"), device="cpu")


def test_no_checkpoint_quotes_a_row(tmp_path: Path, tiny_model_folder: Path):
    trained(tmp_path / "run", tiny_model_folder, save_steps=2, keep_checkpoints=True)
    checkpoints = list((tmp_path / "run" / "checkpoints").glob("checkpoint-*"))
    assert checkpoints
    for file in (file for folder in checkpoints for file in folder.rglob("*") if file.is_file()):
        content = file.read_bytes()
        assert not any(text.encode() in content for text in SECRETS), file


def test_a_trained_model_that_is_saved_again_quotes_no_row(tmp_path: Path, tiny_model_folder: Path):
    rows = Dataset.from_dict({"anchor": SECRETS, "positive": [f"{text} again" for text in SECRETS]})
    run = nearfar.train("infonce", rows, model=str(tiny_model_folder), out=tmp_path / "run", max_steps=2, batch_size=3)
    run.model.save_pretrained(str(tmp_path / "again"))
    said = (tmp_path / "again" / "README.md").read_text("utf-8")
    assert not any(text in said for text in SECRETS)
