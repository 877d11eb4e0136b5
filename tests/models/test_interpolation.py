"""Models between a base model and a fine-tuned one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nearfar.errors import InputError
from nearfar.models.interpolation import interpolate


def made(folder: Path, **tensors: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"name": folder.name}))
    state = {name: torch.as_tensor(value) for name, value in tensors.items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    drawn = torch.Generator().manual_seed(0)
    values = [torch.randn(50, generator=drawn) for _ in range(2)]
    return (
        made(tmp_path / "base", w=values[0], half=values[0].half(), n=torch.tensor([1, 2])),
        made(tmp_path / "tuned", w=values[1], half=values[1].half(), n=torch.tensor([1, 3])),
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_both_ends_are_exact(two: tuple[Path, Path], tmp_path: Path) -> None:
    for weight, end in zip((0.0, 1.0), two, strict=True):
        found = weights(interpolate(*two, tmp_path / f"at {weight}", weight))
        for name in ("w", "half"):
            assert torch.equal(found[name], weights(end)[name])
        # An integer is not trained.
        assert found["n"].tolist() == [1, 3]


def test_between_the_ends(two: tuple[Path, Path], tmp_path: Path) -> None:
    found, (base, tuned) = weights(interpolate(*two, tmp_path / "out", 0.25)), map(weights, two)
    torch.testing.assert_close(found["w"], 0.75 * base["w"] + 0.25 * tuned["w"])
    assert found["half"].dtype == torch.float16
    torch.testing.assert_close(found["half"], (0.75 * base["half"].float() + 0.25 * tuned["half"].float()).half())
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"name": "tuned"}


def test_bad_arguments(two: tuple[Path, Path], tmp_path: Path) -> None:
    base, tuned = two
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError) as raised:
            interpolate(base, tuned, tmp_path / "out", weight)
        assert raised.value.field == "weight"
    with pytest.raises(InputError, match="exists"):
        interpolate(base, tuned, tuned, 0.5)
    other = made(tmp_path / "other", v=[1.0])
    with pytest.raises(InputError, match="base model"):
        interpolate(other, tuned, tmp_path / "out", 0.5)
    assert not (tmp_path / "out").exists()
