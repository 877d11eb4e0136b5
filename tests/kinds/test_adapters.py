"""A model with a LoRA adapter: its adapter is trained, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from safetensors.torch import load_file

from nearfar.errors import InputError
from nearfar.models import adapters, load
from nearfar.models.encoding import encode
from nearfar.training.run import train


def rows() -> Dataset:
    return Dataset.from_dict(
        {"anchor": [f"the cat {i}" for i in range(32)], "positive": [f"a dog {i}" for i in range(32)]}
    )


@pytest.fixture
def adapted(tiny_model_folder: Path, tmp_path: Path) -> Path:
    peft = pytest.importorskip("peft")
    model = load(tiny_model_folder, device="cpu")
    targets = ["query", "value"]
    model.add_adapter(peft.LoraConfig(task_type="FEATURE_EXTRACTION", r=4, lora_alpha=8, target_modules=targets))
    model.save_pretrained(str(tmp_path / "adapted"))
    return tmp_path / "adapted"


def test_the_adapter_is_trained_saved_and_resumed(adapted: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 4, "save_steps": 2, "batch_size": 8, "learning_rate": 1e-2, "seed": 1}
    run = train("infonce", rows(), model=adapted, out=tmp_path / "run", **options)
    learning = [name for name, weight in run.model.named_parameters() if weight.requires_grad]
    assert learning
    assert all("lora_" in name for name in learning)
    first, last = (load_file(folder / "adapter_model.safetensors") for folder in (adapted, tmp_path / "run" / "model"))
    assert first.keys() == last.keys()
    assert any(not first[name].equal(last[name]) for name in first)
    # The saved model answers as the trained one does, and otherwise than what training started from.
    texts = ["the cat 1", "a dog"]
    expected = encode(run.model.eval(), texts)
    assert abs(encode(load(tmp_path / "run" / "model", device="cpu"), texts) - expected).max() < 1e-6
    assert abs(encode(load(adapted, device="cpu"), texts) - expected).max() > 1e-4

    ignored = shutil.ignore_patterns("checkpoint-4", "model", "metrics.json", "report.html")
    shutil.copytree(tmp_path / "run", tmp_path / "again", ignore=ignored)
    again = train("infonce", rows(), model=adapted, out=tmp_path / "again", resume=True, **options)
    assert again.metrics == run.metrics
    resumed = load_file(tmp_path / "again" / "model" / "adapter_model.safetensors")
    assert all(resumed[name].equal(last[name]) for name in last)


def test_an_adapter_without_peft_names_what_to_install(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))
    (folder / "adapter_config.json").write_text("{}")
    monkeypatch.setattr(adapters, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"adapter_config\.json: .*peft.*pip install 'nearfar\[peft\]'"):
        load(folder)
