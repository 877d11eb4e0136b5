"""LoRA by the shared options: kept or merged, saved, loaded, resumed, and refused where it cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar import train
from nearfar.errors import InputError

pytest.importorskip("peft")

TEXTS = ["the cat 1", "a dog", "the sea and so sky"]
STEPS: dict[str, Any] = {"max_steps": 4, "save_steps": 2, "batch_size": 8, "learning_rate": 1e-2, "seed": 1}


def rows() -> Dataset:
    return Dataset.from_dict(
        {"anchor": [f"the cat {i}" for i in range(32)], "positive": [f"a dog {i}" for i in range(32)]}
    )


def resumed(run: Any, out: Path, recipe: str, data: Any, **options: Any) -> list[tuple[str, bytes]]:
    """The weights of a run that is continued from the checkpoint before the last one."""
    ignored = shutil.ignore_patterns("checkpoint-4", "model", "metrics.json", "report.html")
    shutil.copytree(run.folder, out, ignore=ignored)
    again = train(recipe, data, out=out, resume=True, keep_checkpoints=True, **options)
    assert again.metrics == run.metrics
    return weights(out)


def weights(folder: Path) -> list[tuple[str, bytes]]:
    files = sorted((folder / "model").rglob("*.safetensors"))
    return [(file.name, file.read_bytes()) for file in files]


@pytest.mark.parametrize("merge", [False, True], ids=["kept", "merged"])
def test_an_encoder_with_lora_is_saved_loaded_and_resumed(merge: bool, tiny_model_folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {**STEPS, "model": tiny_model_folder, "lora_rank": 4, "lora_merge": merge}
    options |= {"lora_dropout": 0.1, "lora_targets": "query, value"}
    run = train("infonce", rows(), out=tmp_path / "run", keep_checkpoints=True, **options)
    folder = tmp_path / "run" / "model"
    expected = run.model.encode(TEXTS)
    for loaded in (nearfar.load(folder, device="cpu"), SentenceTransformer(str(folder), device="cpu")):
        np.testing.assert_allclose(loaded.encode(TEXTS), expected, atol=1e-5)
    base = nearfar.load(tiny_model_folder, device="cpu")
    assert abs(base.encode(TEXTS) - expected).max() > 1e-4
    counted = run.metrics["adapter"]
    assert counted["trained"] == 2 * 2 * 2 * 32 * 4  # layers, targets, factors, width, rank
    assert counted["share"] == counted["trained"] / counted["parameters"]
    assert (folder / "adapter_config.json").exists() != merge
    if merge:
        before, after = (load_file(each / "model.safetensors") for each in (tiny_model_folder, folder))
        changed = {name for name in before if not before[name].equal(after[name])}
        assert changed
        assert all(name.endswith(("query.weight", "value.weight")) for name in changed)
    else:
        config = json.loads((folder / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == str(tiny_model_folder.resolve())
        assert config["r"] == 4
        assert config["lora_alpha"] == 8
    assert resumed(run, tmp_path / "again", "infonce", rows(), **options) == weights(tmp_path / "run")


def test_the_gradient_cache_gives_the_same_adapter(tiny_model_folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {**STEPS, "model": tiny_model_folder, "lora_rank": 2, "learning_rate": 1e-3}
    found = [
        load_file(train("infonce", rows(), out=tmp_path / str(cached), cached=cached, **options).folder
                  / "model" / "adapter_model.safetensors")
        for cached in (False, True)
    ]  # fmt: skip
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-4) for name in found[0])


def test_what_the_recipe_adds_is_trained_in_full_and_resumed(tiny_model_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    for i in range(16):
        Image.new("RGB", (8, 8), (i * 9, 30, 90)).save(tmp_path / f"{i}.png")
    files = [str(tmp_path / f"{i}.png") for i in range(16)]
    data = Dataset.from_dict({"image": files, "text": [f"cat {i}" for i in range(16)]})
    options: dict[str, Any] = {**STEPS, "model": tiny_model_folder, "lora_rank": 2, "image_size": 16}
    with pytest.raises(InputError, match=r"^lora_merge"):
        train("contrastive_gap", data, out=tmp_path / "kept", **options)
    options["lora_merge"] = True
    run = train("contrastive_gap", data, out=tmp_path / "run", keep_checkpoints=True, **options)
    assert run.metrics["adapter"]["share"] > 0.1  # the new tower
    assert resumed(run, tmp_path / "again", "contrastive_gap", data, **options) == weights(tmp_path / "run")


def test_a_language_model_keeps_its_adapter(tiny_lm_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    texts = Dataset.from_dict({"text": [f"the cat and so dog {i} and more words" for i in range(40)]})
    options: dict[str, Any] = {**STEPS, "batch_size": 2, "max_length": 16, "model": tiny_lm_folder, "lora_rank": 2}
    run = train("contrastive_search", texts, out=tmp_path / "run", keep_checkpoints=True, **options)
    folder = tmp_path / "run" / "model"
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_lm_folder.resolve())
    tokens = torch.tensor([[5, 6, 7]])
    expected = run.model.model.eval()(tokens).logits
    for loaded in (nearfar.load(folder, device="cpu").model, AutoModelForCausalLM.from_pretrained(folder)):
        torch.testing.assert_close(loaded(tokens).logits, expected, atol=1e-4, rtol=1e-4)


def test_what_cannot_have_a_lora_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = nearfar.load(tiny_model_folder, device="cpu").tokenizer._tokenizer
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu").save(
        str(tmp_path / "static"), create_model_card=False
    )
    cases: list[tuple[str, str, Any, dict[str, Any]]] = [
        ("infonce", "lora_rank", tmp_path / "static", {}),
        ("infonce", "lora_targets", tiny_model_folder, {"lora_targets": "query,nothing"}),
        ("infonce", "lora_merge", nearfar.load(tiny_model_folder, device="cpu"), {}),
        ("cless", "lora_rank", tiny_model_folder, {}),
    ]
    for recipe, field, model, options in cases:
        data = rows() if recipe == "infonce" else Dataset.from_dict({"text": TEXTS * 8, "labels": [["cat"]] * 24})
        with pytest.raises(InputError) as caught:
            train(recipe, data, model=model, out=tmp_path / "run", lora_rank=2, **{**STEPS, **options})
        assert caught.value.field == field
        assert not (tmp_path / "run").exists()
