"""Weights of several models side by side, and a copy of a model with other weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from nearfar.errors import InputError
from nearfar.models.weight_files import Aligned, weight_files, write_like


def write(folder: Path, file: str = "model.safetensors", **tensors: Tensor) -> Path:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / file, metadata={"format": "pt", "by": "hand"})
    return folder


def test_weights_of_a_model_without_what_its_trainer_left(tmp_path: Path) -> None:
    for file in ("model.safetensors", "2_Dense/model.safetensors", "loss.safetensors"):
        write(tmp_path, file, w=torch.ones(1))
    assert list(weight_files(tmp_path)) == ["2_Dense/model.safetensors", "model.safetensors"]


def test_tensors_are_read_side_by_side(tmp_path: Path) -> None:
    base = write(tmp_path / "base", w=torch.zeros(2), positions=torch.arange(3), unused=torch.ones(1))
    one = write(tmp_path / "one", w=torch.ones(2), positions=torch.arange(3))
    two = write(tmp_path / "two", w=torch.full((2,), 2.0))  # newer libraries do not save positions
    with Aligned(base, [one, two]) as found:
        assert sorted(found) == [("model.safetensors", "positions"), ("model.safetensors", "w")]
        assert [x.tolist() for x in found.read("model.safetensors", "w")] == [[0, 0], [1, 1], [2, 2]]
        assert [x.tolist() for x in found.read("model.safetensors", "positions")] == [[0, 1, 2]] * 3


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ({"w": torch.ones(3)}, r"\(2,\) for 'w'.*\(3,\)"),
        ({"v": torch.ones(2)}, "'w'"),
        ({"w": torch.ones(2), "v": torch.ones(2)}, "'v'"),
    ],
)
def test_models_that_do_not_match_are_named(tensors: dict[str, Tensor], named: str, tmp_path: Path) -> None:
    good, other = write(tmp_path / "good", w=torch.ones(2)), write(tmp_path / "other", **tensors)
    with pytest.raises(InputError, match=named) as caught, Aligned(good, [good, other]):
        pass
    assert caught.value.file == other / "model.safetensors"


def test_files_that_do_not_match_are_named(tmp_path: Path) -> None:
    good, split = write(tmp_path / "good", w=torch.ones(2)), write(tmp_path / "split", "part.safetensors")
    with pytest.raises(InputError, match=r"'model\.safetensors'") as caught:
        Aligned(good, [good, split])
    assert caught.value.file == split
    more = write(write(tmp_path / "more", w=torch.ones(2)), "part.safetensors", w=torch.ones(2))
    with pytest.raises(InputError, match=r"'part\.safetensors'"):
        Aligned(good, [good, more])
    with Aligned(more, [good, good]) as found:  # what the base alone has is ignored
        assert list(found) == [("model.safetensors", "w")]


def test_a_copy_has_all_files_of_the_model_and_other_values(tmp_path: Path) -> None:
    model = write(tmp_path / "model", w=torch.tensor([1.0, 2.0]), ids=torch.arange(2), empty=torch.zeros(0))
    write(model, "2_Dense/model.safetensors", b=torch.ones(2, 2, dtype=torch.bfloat16))
    (model / "2_Dense" / "config.json").write_text(json.dumps({"in": 2}))
    for name in ("optimizer.pt", "pytorch_model.bin", "trainer_state.json", ".hidden"):
        (model / name).touch()
    state = {name: load_file(file) for name, file in weight_files(model).items()}
    out = tmp_path / "deep" / "out"
    write_like(model, out, lambda file, tensor: state[file][tensor] * 2)
    found = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    assert found == {"model.safetensors", "2_Dense/model.safetensors", "2_Dense/config.json", "SHA256SUMS"}
    for name, tensors in state.items():
        for tensor, value in load_file(out / name).items():
            assert value.dtype == tensors[tensor].dtype
            assert torch.equal(value, tensors[tensor] * 2)
    with safe_open(out / "model.safetensors", framework="pt") as opened:
        assert opened.metadata() == {"format": "pt", "by": "hand"}


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    model = write(tmp_path / "model", w=torch.ones(2))

    def fails(file: str, tensor: str) -> Tensor:
        raise MemoryError

    with pytest.raises(MemoryError):
        write_like(model, tmp_path / "out", fails)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
