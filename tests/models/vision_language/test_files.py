from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import nearfar
from nearfar.errors import InputError
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.vision_language import VisionLanguageLM
from nearfar.models.kind_files import FILE, kind_of_folder
from nearfar.models.towers.named import media_tower
from nearfar.models.vision_language.model import Shape, VisionLanguageModel


@pytest.fixture(scope="module", params=[False, True], ids=["frozen vision", "trained vision"])
def saved(request: pytest.FixtureRequest, tiny_lm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("saved") / "model"
    folder.mkdir()
    torch.manual_seed(0)
    language = CausalLM.load(tiny_lm_folder, device="cpu")
    vision = media_tower("small-vit", "image", image_size=16)[0]
    shape = Shape(split=1, latents=2, depth=1, heads=2, head_width=8, dims=8)
    model = VisionLanguageLM(VisionLanguageModel(language.model, vision, shape, train_vision=request.param), language)
    model.save(folder)
    return model, folder


def test_what_is_saved_is_loaded(saved: Any) -> None:
    model, folder = saved
    found = nearfar.load(folder, device="cpu")
    assert isinstance(found, VisionLanguageLM)
    assert found.model.shape == model.model.shape
    assert found.fingerprint(folder) == model.fingerprint(folder)
    assert found.model.train_vision == model.model.train_vision
    assert not list(folder.rglob("*.bin"))


def test_the_folder_is_known_without_our_own_record(saved: Any, tmp_path: Path) -> None:
    shutil.copytree(saved[1], tmp_path / "copy")
    (tmp_path / "copy" / FILE).unlink()
    assert kind_of_folder(tmp_path / "copy") == "vision-language LM"


def drop(folder: Path) -> None:
    weights = load_file(folder / "fusion.safetensors")
    weights.pop("log_scale")
    save_file(weights, folder / "fusion.safetensors")


def rename(folder: Path) -> None:
    weights = load_file(folder / "fusion.safetensors")
    weights["scale"] = weights.pop("log_scale")
    save_file(weights, folder / "fusion.safetensors")


def widen(folder: Path) -> None:
    shape = json.loads((folder / "fusion.json").read_text())
    (folder / "fusion.json").write_text(json.dumps({**shape, "dims": 9}))


def truncate(folder: Path) -> None:
    (folder / "fusion.safetensors").write_bytes((folder / "fusion.safetensors").read_bytes()[:200])


def without_vision(folder: Path) -> None:
    shutil.rmtree(folder / "vision")


def strange(folder: Path) -> None:
    (folder / "fusion.json").write_text('{"split": 1, "colour": "red"}')


def no_json(folder: Path) -> None:
    (folder / "fusion.json").write_text("{")


@pytest.mark.parametrize("harm", [drop, rename, widen, truncate, without_vision, strange, no_json])
def test_a_damaged_folder_is_refused(saved: Any, tmp_path: Path, harm: Any) -> None:
    shutil.copytree(saved[1], tmp_path / "copy")
    harm(tmp_path / "copy")
    with pytest.raises(InputError) as caught:
        nearfar.load(tmp_path / "copy", device="cpu")
    assert "copy" in str(caught.value.file)
    assert "\n" not in str(caught.value)
