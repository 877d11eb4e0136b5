"""Fuses checkpoints of one model; each is weighted by its distance from the base model.

    delta_k = theta_k - theta_0,  m_k = ||delta_k||,  w_k = m_k^beta / sum_j m_j^beta
    theta = theta_0 + sum_k w_k delta_k

separately for each unit of parameters: the whole model, a layer, a tensor, or a single number. beta = 0 is the uniform
average (Wortsman et al. 2022, Model Soups); beta > 0 prefers the checkpoint with the largest distance, beta < 0 the one
with the smallest.

Source: Zhang et al. 2025, CoDiEmb. The abstract mentions weights by the deviation of parameters; the formula is a
reconstruction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from nearfar.errors import InputError
from nearfar.models.weight_files import Aligned, Reader, write_like
from nearfar.writing import check_free, check_writable, file_claimed, full_disk_noticed, settled

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

#: Numbers of a tensor that are processed at a time.
BLOCK = 1 << 18

Granularity = Literal["model", "layer", "tensor", "element"]


@dataclass(frozen=True)
class Fused:
    """The result of a fusion.

    Args:
        folder: The fused model.
        checkpoints: The fused checkpoints.
        distances: Norm of each checkpoint's difference from the base, over all parameters.
        weights: Mean weight of each checkpoint over all parameters.
    """

    folder: Path
    checkpoints: tuple[str, ...]
    distances: tuple[float, ...]
    weights: tuple[float, ...]


def fuse(
    base: str | Path,
    checkpoints: Sequence[str | Path],
    out: str | Path,
    *,
    granularity: Granularity = "tensor",
    beta: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Fused:
    """Fuse checkpoints that were all trained from `base`, and write a model of the same format.

    Only one tensor of each model is in memory at a time. Everything except the weights is taken from the first
    checkpoint.

    Args:
        base: The base model of the checkpoints: a folder, a Hub ID or an alias.
        checkpoints: Two or more folders, Hub IDs or aliases; in a run folder, its `model` is used.
        out: The folder to write, completely or not at all; it must not exist.
        granularity: Unit with its own weights: `"model"`, `"layer"`, `"tensor"` or `"element"`.
        beta: Exponent of the distances: how much a larger distance counts.
        progress: Called with (tensors done, number of tensors).

    Raises:
        InputError: A model does not exist, the models do not match, or the folder cannot be written.
    """
    target = Path(out)
    _check_arguments(checkpoints, target, granularity, beta)
    check_writable(target)
    weighing = _Weighing(granularity, beta, len(checkpoints))
    with ExitStack() as stack:
        stack.enter_context(file_claimed(target))
        _check_arguments(checkpoints, target, granularity, beta)  # once more: another process may just have finished
        folders = [model_folder(each) for each in (base, *checkpoints)]
        models = stack.enter_context(Aligned(folders[0], folders[1:]))
        stack.enter_context(full_disk_noticed(target.parent))
        names = list(models)
        passes = 1 if granularity == "element" else 2
        total, done = passes * len(names), 0

        def tell() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        if granularity != "element":
            for file, tensor in names:
                weighing.measure(file, tensor, models.read(file, tensor))
                tell()

        def fused(file: str, tensor: str) -> torch.Tensor:
            value = weighing.fused(file, tensor, models.read(file, tensor))
            tell()
            return value

        reader: Reader = fused
        write_like(folders[1], target, reader)
    return Fused(target, tuple(map(str, checkpoints)), *weighing.summary())


def shares(norms: Float[torch.Tensor, "k ..."], beta: float) -> Float[torch.Tensor, "k ..."]:
    """w_k = m_k^beta / sum_j m_j^beta; uniform if all m are 0. For beta < 0, models with m = 0 share all weight."""
    import torch

    if beta == 0:
        return torch.full_like(norms, 1 / len(norms))
    # Relative to the largest power, to avoid overflow.
    largest = norms.amax(0) if beta > 0 else norms.amin(0)
    powers = torch.where(largest > 0, (norms / largest) ** beta, (norms == largest).to(norms.dtype))
    return powers / powers.sum(0)


def model_folder(name: str | Path) -> Path:
    """The folder of a model: of a run folder its `model`, otherwise a folder, a Hub ID or an alias.

    Raises:
        InputError: There is no such model, or its files are incomplete.
    """
    from nearfar.models.loading import find
    from nearfar.models.model_files import check_files

    of_run = settled(Path(name, "model"))
    folder = of_run if Path(name, "run.yaml").is_file() and of_run.is_dir() else find(name)
    check_files(folder)
    return folder


class _Weighing:
    """Computes the norms of every unit, then the weighted tensors, and the sums for the result."""

    def __init__(self, granularity: Granularity, beta: float, checkpoints: int) -> None:
        import torch

        self.granularity, self.beta = granularity, beta
        self.squares: dict[str, torch.Tensor] = {}
        self.moved = torch.zeros(checkpoints, dtype=torch.float64)
        self.weight = torch.zeros(checkpoints, dtype=torch.float64)
        self.parameters = 0

    def measure(self, file: str, tensor: str, values: list[torch.Tensor]) -> None:
        """Add the differences of a tensor to the norms of its unit."""
        if values[1].is_floating_point():
            squares = self.squares.setdefault(self._unit(file, tensor), self.moved.new_zeros(len(self.moved)))
            for _, deltas in _blocks(values):
                squares += deltas.square().sum(1)

    def fused(self, file: str, tensor: str, values: list[torch.Tensor]) -> torch.Tensor:
        """The tensor of the fused model; an integer tensor is that of the first checkpoint."""
        like = values[1]
        if not like.is_floating_point():
            return like
        found = like.new_empty(like.numel())
        by_unit = None if self.granularity == "element" else self.squares[self._unit(file, tensor)].sqrt()[:, None]
        start = 0
        for base, deltas in _blocks(values):
            weights = shares(deltas.abs() if by_unit is None else by_unit, self.beta).expand_as(deltas)
            self.moved += deltas.square().sum(1)
            self.weight += weights.sum(1)
            found[start : start + len(base)] = base + (weights * deltas).sum(0)
            start += len(base)
        self.parameters += len(found)
        if not bool(found.isfinite().all()):
            raise InputError(f"the weights {tensor!r} contain NaN or infinity", remedy="use earlier checkpoints")
        return found.reshape(like.shape)

    def summary(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Distances and mean weights."""
        return tuple(self.moved.sqrt().tolist()), tuple((self.weight / max(1, self.parameters)).tolist())

    def _unit(self, file: str, tensor: str) -> str:
        if self.granularity == "model":
            return ""
        if self.granularity == "tensor":
            return f"{file} {tensor}"
        # encoder.layer.3.attention.self.query.weight becomes encoder.layer.3; without a number, the first name.
        numbered = re.match(r"(?:[^.]+\.)*?\d+(?=\.|$)", tensor)
        return f"{Path(file).parent} {numbered.group() if numbered else tensor.partition('.')[0]}"


def _blocks(values: list[torch.Tensor]) -> Iterator[tuple[Float[torch.Tensor, " b"], Float[torch.Tensor, "k b"]]]:
    """The numbers of the base and the differences of the checkpoints, in blocks.

    In double precision, so that equal checkpoints are not changed at all.
    """
    import torch

    for parts in zip(*(value.flatten().split(BLOCK) for value in values), strict=True):
        base = parts[0].double()
        yield base, torch.stack([part.double() - base for part in parts[1:]])


def _check_arguments(checkpoints: Sequence[object], out: Path, granularity: str, beta: float) -> None:
    if len(checkpoints) < 2:
        raise InputError("expected at least 2 checkpoints, got 1", field="CHECKPOINT", remedy="pass two or more")
    if granularity not in get_args(Granularity):
        known = ", ".join(get_args(Granularity))
        raise InputError(f"unknown granularity {granularity!r}", field="granularity", remedy=f"choose from {known}")
    if not math.isfinite(beta):
        raise InputError(
            f"invalid value {beta}: must be finite", field="beta", remedy="use e.g. 1, or 0 for the average"
        )
    check_free(out)
