"""The recipe: both kinds of reranker are trained, saved and loaded, with negatives, instructions and LoRA."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder

import nearfar
from nearfar.cli.app import run
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.training.run import train

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "tree")
STEPS: dict[str, Any] = {"max_steps": 3, "save_steps": 1, "batch_size": 4, "learning_rate": 1e-3, "seed": 2}


def rows(negatives: int = 2) -> Dataset:
    def text(row: int, step: int) -> str:
        return f"the {WORDS[(row * step) % 12]} and so {WORDS[(row + step) % 12]}"

    columns = {
        "anchor": [f"{text(row, 1)} {row}" for row in range(24)],
        "positive": [text(row, 2) for row in range(24)],
    }
    more = {f"negative_{k + 1}": [text(row, 3 + k) for row in range(24)] for k in range(negatives)}
    return Dataset.from_dict({**columns, **more})


PAIRS = [("the cat and so", "a dog"), ("the cat and so", "the sea and the sky"), ("red", "green grass")]


def scores(model: CrossEncoder) -> np.ndarray:
    return np.asarray(model.predict(PAIRS, activation_fn=torch.nn.Identity(), batch_size=1))


@pytest.fixture(params=["encoder", "language model"])
def start(request, plain_model_folder: Path, yes_no_folder: Path) -> Path:
    return plain_model_folder if request.param == "encoder" else yes_no_folder


@pytest.mark.parametrize("loss", [{}, {"weight": "cl", "direction": "cl"}, {"weight": "mask"}, {"direction": "cl"}])
def test_the_saved_folder_scores_as_the_trained_model(start: Path, loss, tmp_path: Path) -> None:
    found = train("rerank_sft_cl", rows(), model=start, out=tmp_path / "run", **STEPS, **loss)
    expected = scores(found.model)
    assert np.ptp(expected) > 0
    folder = tmp_path / "run" / "model"
    assert json.loads((folder / "nearfar.json").read_text()) == {"kind": "reranker"}
    np.testing.assert_allclose(scores(CrossEncoder(str(folder), device="cpu")), expected, atol=1e-5)
    np.testing.assert_allclose(scores(nearfar.load(folder, device="cpu")), expected, atol=1e-5)
    ours = nearfar.kinds.loading.of(found.model).score_pairs(*zip(*PAIRS, strict=True))
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("direction", ["sft", "random"])
def test_a_lora_is_trained_merged_and_resumed(start: Path, direction: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    if direction == "random" and "yes-no" not in str(start):
        pytest.skip("a classifier has no random direction")
    options = {**STEPS, "lora_rank": 2, "lora_alpha": 4.0, "direction": direction}
    found = train("rerank_sft_cl", rows(), model=start, out=tmp_path / "run", keep_checkpoints=True, **options)
    folder = tmp_path / "run" / "model"
    assert not (folder / "adapter_config.json").exists()
    expected = scores(found.model)
    np.testing.assert_allclose(scores(CrossEncoder(str(folder), device="cpu")), expected, atol=1e-5)

    ignored = shutil.ignore_patterns("checkpoint-3", "model", "metrics.json", "report.html")
    shutil.copytree(tmp_path / "run", tmp_path / "again", ignore=ignored)
    again = train("rerank_sft_cl", rows(), model=start, out=tmp_path / "again", resume=True, **options)
    np.testing.assert_array_equal(scores(again.model), expected)
    weights = (tmp_path / each / "model" / "model.safetensors" for each in ("run", "again"))
    first, second = (path.read_bytes() for path in weights)
    assert first == second


def test_a_lora_can_be_kept_as_an_adapter(start: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    options = {**STEPS, "lora_rank": 2, "lora_merge": False}
    found = train("rerank_sft_cl", rows(), model=start, out=tmp_path / "run", **options)
    folder = tmp_path / "run" / "model"
    assert (folder / "adapter_config.json").exists()
    np.testing.assert_allclose(scores(CrossEncoder(str(folder), device="cpu")), scores(found.model), atol=1e-5)
    with pytest.raises(InputError, match="lora_merge"):
        train("rerank_sft_cl", rows(), model=start, out=tmp_path / "no", direction="random", **options)


def test_a_lora_leaves_the_rows_of_yes_and_no_as_they_are(yes_no_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    before = CrossEncoder(str(yes_no_folder), device="cpu").transformers_model
    found = train("rerank_sft_cl", rows(), model=yes_no_folder, out=tmp_path / "run", lora_rank=2, **STEPS)
    after = found.model.transformers_model
    assert torch.equal(before.lm_head.weight, after.lm_head.weight)
    changed = [n for n, w in after.named_parameters() if not torch.equal(w, dict(before.named_parameters())[n])]
    assert changed
    assert all("proj" in name for name in changed)


def test_negatives_are_mined_where_the_rows_have_none(plain_model_folder, tiny_model_folder, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    write_jsonl([{"_id": str(n), "text": f"document {n} about the {word}"} for n, word in enumerate(WORDS)], corpus)
    write_jsonl([dict(row) for row in rows(0)], tmp_path / "pairs.jsonl")
    arguments = ["train", "rerank_sft_cl", "--data", str(tmp_path / "pairs.jsonl"), "--model", str(plain_model_folder)]
    for key, value in {**STEPS, "miner": str(tiny_model_folder), "negatives": 3, "corpus": corpus}.items():
        arguments += ["--seed", "2"] if key == "seed" else ["--set", f"{key}={value}"]
    assert run([*arguments, "--out", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["steps"] == 3


def test_it_learns_which_documents_are_relevant(yes_no_folder: Path, tmp_path: Path) -> None:
    known = Dataset.from_dict(
        {
            "anchor": [f"the {word}" for word in WORDS] * 4,
            "positive": ["green grass tree"] * 48,
            "negative_1": ["bank loan money"] * 48,
            "negative_2": ["bill account"] * 48,
        }
    )
    options = {"max_steps": 40, "batch_size": 8, "learning_rate": 1e-2, "seed": 0}
    for loss in ("sft", "cl"):
        both = {"weight": loss, "direction": loss}
        model = train("rerank_sft_cl", known, model=yes_no_folder, out=tmp_path / loss, **both, **options).model
        found = model.predict(
            [("the cat", "green grass tree"), ("the cat", "bank loan money"), ("the cat", "bill account")]
        )
        assert found[0] > found[1:].max() + 0.3


def test_a_reranker_is_measured_on_pairs_after_a_first_stage(yes_no_folder, tiny_model_folder, tmp_path: Path) -> None:
    trained = train("rerank_sft_cl", rows(), model=yes_no_folder, out=tmp_path / "run", **STEPS).model
    found = nearfar.evaluate(trained, rows(0), first=tiny_model_folder)
    assert found.task == "rerank"


@pytest.mark.parametrize(
    ("options", "field"),
    [({"direction": "random"}, "direction"), ({"weight": "both"}, "weight"), ({"tau": 1.0}, "tau")],
)
def test_options_that_do_not_fit(plain_model_folder: Path, tmp_path: Path, options, field) -> None:
    with pytest.raises(InputError, match=field):
        train("rerank_sft_cl", rows(), model=plain_model_folder, out=tmp_path / "run", **STEPS, **options)
    assert not (tmp_path / "run").exists()
