"""The recipe on rows of each kind, from data to a model that is cut."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

import nearfar
from deep_models import saved
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.losses.elastic import ElasticLoss, Size
from nearfar.recipes import matryoshka_2d
from nearfar.training.run import train
from plans import first_stage

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "tree")
ROWS = {
    "pairs": [{"anchor": f"the {w}", "positive": f"a {w} in the house {i}"} for i, w in enumerate(WORDS)],
    "triplets": [
        {"anchor": f"the {w}", "positive": f"a {w} in the house", "negative": f"no {w} {i}"}
        for i, w in enumerate(WORDS)
    ],
    "scored": [
        {"sentence1": f"the {w}", "sentence2": f"a {w} in the {v}", "score": i % 5}
        for i, (w, v) in enumerate(zip(WORDS, WORDS[::-1], strict=True))
    ],
}


@pytest.fixture(scope="module")
def folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("bert", tiny_model_folder, tmp_path_factory.mktemp("deep"))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("pairs", {}),
        ("triplets", {"variant": "2dmse-depthdiv", "detach_teacher": True}),
        ("scored", {"sizes": "1x8,2x16,4x32"}),
        ("scored", {"kl_weight": 0, "lambda_student": 0}),
    ],
)
def test_trains_and_the_model_can_be_cut(folder, tmp_path, kind, options) -> None:
    write_jsonl(ROWS[kind], tmp_path / "rows.jsonl")
    run = train(
        "matryoshka_2d",
        tmp_path / "rows.jsonl",
        model=folder,
        out=tmp_path / "run",
        batch_size=4,
        max_steps=2,
        learning_rate=1e-3,
        max_length=32,
        **options,
    )
    before, after = nearfar.load(folder), SentenceTransformer(str(run.folder / "model"), device="cpu")
    for layers in (1, 4):
        untrained = nearfar.load(folder, layers=layers, dims=8, device="cpu").encode(["a dog"])
        trained = nearfar.load(run.folder / "model", layers=layers, dims=8, device="cpu").encode(["a dog"])
        assert trained.shape == (1, 8)
        assert np.abs(trained - untrained).max() > 1e-4
    assert after.encode(["a dog"]).shape == before.encode(["a dog"]).shape == (1, 32)
    assert np.isfinite(json.loads((run.folder / "metrics.json").read_text())["last_loss"])


def plan_of(folder: Path, kind: str, **options) -> ElasticLoss:
    from datasets import Dataset

    model = nearfar.load(folder, device="cpu")
    loss = first_stage(matryoshka_2d.prepare)(
        model, Dataset.from_list(ROWS[kind]), matryoshka_2d.Options(**options)
    ).loss
    assert isinstance(loss, ElasticLoss)
    return loss


def test_the_paper_is_the_default(folder) -> None:
    loss = plan_of(folder, "pairs")
    assert (loss.kl_weight, loss.kl_temperature, loss.detach_teacher) == (1, 1, False)
    torch.manual_seed(0)
    drawn = [loss.draw() for _ in range(200)]
    assert all([size.weight for size in sizes] == [1] * 4 for sizes in drawn)
    assert {sizes[3].layers for sizes in drawn} == {1, 2, 3}
    assert {sizes[3].dims for sizes in drawn} == {8, 16}


def test_options_reach_the_loss(folder) -> None:
    loss = plan_of(folder, "scored", lambda_teacher=2, lambda_student=0.5, kl_weight=3, kl_temperature=0.3)
    assert (loss.kl_weight, loss.kl_temperature) == (3, 0.3)
    assert [size.weight for size in loss.draw()] == [2, 0.5, 2, 0.5]
    assert {size.dims for size in plan_of(folder, "scored", least_dims=16).draw()} == {16, 32}
    assert plan_of(folder, "pairs", sizes="1x8, 4x32").draw() == [Size(1, 8, 0.5), Size(4, 32, 0.5)]
    thirds = [size for size in plan_of(folder, "pairs", variant="2dmse-depthdiv").draw() if size.layers < 4]
    assert all(size.weight == 1 / size.layers for size in thirds)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("pairs", {"sizes": "2x64"}, "sizes: invalid size 2x64; must be 1x1 to 4x32"),
        ("pairs", {"sizes": "2-32"}, "sizes: invalid value '2-32'; write e.g. 2x32,4x64"),
        ("pairs", {"kl_weight": -1}, "kl_weight: invalid value -1"),
        ("pairs", {"kl_temperature": 0}, "kl_temperature: invalid value 0"),
        ("pairs", {"w_ibn": 0}, "w_ibn: all weights that count for these rows are 0: w_ibn"),
        ("scored", {"w_cos": 0, "w_ang": 0}, "w_cos: all weights that count for these rows are 0: w_cos, w_ang"),
        (
            "pairs",
            {"least_dims": 32},
            "least_dims: must be less than the 32 dimensions of the model, got 32; use at most 31",
        ),
    ],
)
def test_options_that_cannot_be(folder, kind, options, message) -> None:
    with pytest.raises(InputError, match=message):
        plan_of(folder, kind, **options)


def test_a_resumed_run_draws_the_sizes_that_the_whole_run_drew(folder, tmp_path) -> None:
    write_jsonl(ROWS["scored"], tmp_path / "rows.jsonl")

    def trained(out: str, resume: bool = False) -> bytes:
        options: dict[str, Any] = {"batch_size": 4, "max_steps": 9, "epochs": 9, "save_steps": 3, "max_length": 32}
        options |= {"resume": resume, "keep_checkpoints": True}
        train("matryoshka_2d", tmp_path / "rows.jsonl", model=folder, out=tmp_path / out, **options)
        return (tmp_path / out / "model" / "model.safetensors").read_bytes()

    whole = trained("run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "checkpoint-9")
    shutil.rmtree(tmp_path / "run" / "model")
    torch.manual_seed(99)
    assert trained("run", resume=True) == whole
