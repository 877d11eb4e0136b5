"""Reads the weights of several models in parallel, one tensor at a time, and writes a model with new values."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.sums import FILE as SUMS
from nearfar.models.sums import write_sums

if TYPE_CHECKING:
    import torch

#: Maps a file's path in its model's folder and a tensor's name to the tensor.
Reader = Callable[[str, str], "torch.Tensor"]

# Files of a trainer in a checkpoint, and weights that are not safetensors.
_NO_MODEL = {"trainer_state.json", "complete", "loss.safetensors"}
_OTHER_WEIGHTS = {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".onnx", ".gguf", ".msgpack", ".safetensors"}


class Aligned:
    """A base model and models trained from it, with the same tensor names and shapes. Iterates over (file, tensor).

    Args:
        base: The base model. Its additional tensors are ignored.
        models: One or more models, all with the same floating-point tensors. Integer tensors may be missing (such as
            positions, which newer libraries compute and do not save), because they are never trained.

    Raises:
        InputError: The files, tensors or shapes of a model differ from those of the first of `models`.
    """

    def __init__(self, base: Path, models: Sequence[Path]) -> None:
        first = weight_files(models[0])
        others = [base, *models[1:]]
        files = [weight_files(folder) for folder in others]
        for folder, found in zip(others, files, strict=True):
            _check_same(list(first), list(found), "file of weights", models[0], folder, more=folder == base)
        self._stack = ExitStack()
        self._paths = {name: [files[0][name], first[name], *(f[name] for f in files[1:])] for name in first}
        self._opened: dict[str, list[Any]] = {}

    def __enter__(self) -> Aligned:
        from safetensors import safe_open

        with self._stack as stack:
            for name, paths in self._paths.items():
                self._opened[name] = [stack.enter_context(safe_open(path, framework="pt")) for path in paths]
                self._check(name)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, models in self._opened.items():
            for tensor in models[1].keys():  # noqa: SIM118 - no dictionary
                yield name, tensor

    def read(self, file: str, tensor: str) -> list[torch.Tensor]:
        """A tensor of the base and of every model; if one does not have it, that of the first model."""
        models = self._opened[file]
        return [(model if tensor in set(model.keys()) else models[1]).get_tensor(tensor) for model in models]

    def _check(self, name: str) -> None:
        (base, first, *others), (start, there, *places) = self._opened[name], self._paths[name]
        for other, place in zip((base, *others), (start, *places), strict=True):
            _check_same(_trained(first), _trained(other), "tensor", there, place, more=other is base)
            for tensor in sorted({*first.keys()} & {*other.keys()}):
                shape, mine = (model.get_slice(tensor).get_shape() for model in (first, other))
                if shape != mine:
                    raise InputError(
                        f"expected shape {tuple(shape)} for {tensor!r}, as in {there}, got {tuple(mine)}",
                        file=place,
                        remedy="fuse checkpoints of one model",
                    )


def _trained(model: Any) -> list[str]:
    """The names of the floating-point tensors."""
    return [name for name in model.keys() if model.get_slice(name).get_dtype().startswith(("F", "BF"))]  # noqa: SIM118


def weight_files(folder: Path) -> dict[str, Path]:
    """The weight files of a model, by their paths in its folder."""
    files = sorted(file for file in folder.rglob("*.safetensors") if file.name not in _NO_MODEL)
    return {file.relative_to(folder).as_posix(): file for file in files}


def write_like(model: Path, out: Path, read: Reader) -> None:
    """Write a copy of the folder `model` with other values of its weights, completely or not at all.

    Args:
        model: The folder to copy: names, shapes, dtypes and metadata of all tensors, and all other files.
        out: The folder to write.
        read: Called for each tensor, in the order of the file; returns the new tensor with the same shape and dtype.
    """
    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        for file in sorted(model.rglob("*")):
            place = file.relative_to(model)
            of_model = file.is_file() and file.name not in _NO_MODEL and not file.name.startswith(".")
            if of_model and file.suffix not in _OTHER_WEIGHTS and file.name != SUMS:
                (draft / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, draft / place)
        for name, file in weight_files(model).items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            _write(file, draft / name, lambda tensor, name=name: read(name, tensor))
        write_sums(draft)
        os.replace(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(source: Path, target: Path, read: Callable[[str], torch.Tensor]) -> None:
    """Copy the header, and write the values one by one, because safetensors' own writer needs all tensors at once."""
    import torch

    with source.open("rb") as there, target.open("wb") as out:
        size = there.read(8)
        header = there.read(int.from_bytes(size, "little"))
        out.write(size + header)
        entries = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        for name in sorted(entries, key=lambda name: entries[name]["data_offsets"]):
            value = read(name).contiguous().reshape(-1)
            out.write(value.view(torch.uint8).numpy().data)


def _check_same(expected: list[str], found: list[str], what: str, there: Path, place: Path, *, more: bool) -> None:
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or (extra and not more):
        name = (missing or extra)[0]
        problem = f"the {what} {name!r} of {there} is missing" if missing else f"the {what} {name!r} is not in {there}"
        raise InputError(problem, file=place, remedy="fuse checkpoints of one model, together with their base model")
