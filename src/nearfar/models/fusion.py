"""Fusing checkpoints of one model into one, each weighed by how far it moved from where they all began.

    delta_k = theta_k - theta_0,  m_k = ||delta_k||,  w_k = m_k^beta / sum_j m_j^beta
    theta = theta_0 + sum_k w_k delta_k

for every unit of the parameters by itself: the whole model, a layer, a tensor, or each number. beta = 0 is the uniform
average (Wortsman et al. 2022, Model Soups); beta > 0 trusts the checkpoint that moved furthest, beta < 0 the one that
stayed closest.

Source: Zhang et al. 2025, CoDiEmb, whose abstract names weights by the parameters' deviation; the formula is a
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
from nearfar.writing import check_writable, file_claimed, full_disk_noticed, settled

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

#: Numbers of a tensor that are worked on together.
BLOCK = 1 << 18

Granularity = Literal["model", "layer", "tensor", "element"]


@dataclass(frozen=True)
class Fused:
    """What a fusion did.

    Args:
        folder: The fused model.
        checkpoints: What went in.
        distances: The norm of each checkpoint's difference from the base, over all its parameters.
        weights: Each checkpoint's mean weight over all parameters.
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
    """Fuse checkpoints that were all trained from `base`, and write a model that loads like them.

    Memory holds one tensor of each model at a time. All but the weights is taken from the first checkpoint.

    Args:
        base: Where training began: a folder, a hub id or an alias.
        checkpoints: Folders, hub ids or aliases; or run folders, whose `model` is meant. Two or more.
        out: The folder to write; it must not be there. It appears as a whole or not at all.
        granularity: What is weighed as one: `"model"`, `"layer"`, `"tensor"` or `"element"`.
        beta: How much a larger difference counts.
        progress: Called with the tensors that are done, and all there are.

    Raises:
        InputError: no such model, models that do not fit together, or a folder that cannot be written.
    """
    target = Path(out)
    _check_arguments(checkpoints, target, granularity, beta)
    check_writable(target)
    weighing = _Weighing(granularity, beta, len(checkpoints))
    with ExitStack() as stack:
        stack.enter_context(file_claimed(target))
        _check_arguments(checkpoints, target, granularity, beta)  # once more: another process may just have finished
        folders = [_folder(each) for each in (base, *checkpoints)]
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
    """w_k = m_k^beta / sum_j m_j^beta; uniform where all m are 0. For beta < 0 those that did not move share all."""
    import torch

    if beta == 0:
        return torch.full_like(norms, 1 / len(norms))
    # Relative to the one with the largest power, so that nothing overflows.
    largest = norms.amax(0) if beta > 0 else norms.amin(0)
    powers = torch.where(largest > 0, (norms / largest) ** beta, (norms == largest).to(norms.dtype))
    return powers / powers.sum(0)


class _Weighing:
    """First the norms of every unit, then the weighed tensors, and the sums that are reported."""

    def __init__(self, granularity: Granularity, beta: float, checkpoints: int) -> None:
        import torch

        self.granularity, self.beta = granularity, beta
        self.squares: dict[str, torch.Tensor] = {}
        self.moved = torch.zeros(checkpoints, dtype=torch.float64)
        self.weight = torch.zeros(checkpoints, dtype=torch.float64)
        self.parameters = 0

    def measure(self, file: str, tensor: str, values: list[torch.Tensor]) -> None:
        """Add a tensor's differences to the norms of its unit."""
        if values[1].is_floating_point():
            squares = self.squares.setdefault(self._unit(file, tensor), self.moved.new_zeros(len(self.moved)))
            for _, deltas in _blocks(values):
                squares += deltas.square().sum(1)

    def fused(self, file: str, tensor: str, values: list[torch.Tensor]) -> torch.Tensor:
        """The tensor of the fused model; what is no floating point number is the first checkpoint's."""
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
            raise InputError(f"the weights {tensor!r} hold NaN or infinity", remedy="use earlier checkpoints")
        return found.reshape(like.shape)

    def summary(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Distances and mean weights."""
        return tuple(self.moved.sqrt().tolist()), tuple((self.weight / max(1, self.parameters)).tolist())

    def _unit(self, file: str, tensor: str) -> str:
        if self.granularity == "model":
            return ""
        if self.granularity == "tensor":
            return f"{file} {tensor}"
        # encoder.layer.3.attention.self.query.weight: encoder.layer.3; without a number: the first name.
        numbered = re.match(r"(?:[^.]+\.)*?\d+(?=\.|$)", tensor)
        return f"{Path(file).parent} {numbered.group() if numbered else tensor.partition('.')[0]}"


def _blocks(values: list[torch.Tensor]) -> Iterator[tuple[Float[torch.Tensor, " b"], Float[torch.Tensor, "k b"]]]:
    """The base's numbers and the checkpoints' differences from them, some at a time.

    In double precision: checkpoints that agree stay what they are, to the last bit.
    """
    import torch

    for parts in zip(*(value.flatten().split(BLOCK) for value in values), strict=True):
        base = parts[0].double()
        yield base, torch.stack([part.double() - base for part in parts[1:]])


def _folder(name: str | Path) -> Path:
    from nearfar.models.loading import check_files, find

    of_run = settled(Path(name, "model"))
    folder = of_run if Path(name, "run.yaml").is_file() and of_run.is_dir() else find(name)
    check_files(folder)
    return folder


def _check_arguments(checkpoints: Sequence[object], out: Path, granularity: str, beta: float) -> None:
    if len(checkpoints) < 2:
        raise InputError("one checkpoint is nothing to fuse", field="CHECKPOINT", remedy="name two or more")
    if granularity not in get_args(Granularity):
        known = ", ".join(get_args(Granularity))
        raise InputError(f"{granularity!r} is not known", field="granularity", remedy=f"choose from {known}")
    if not math.isfinite(beta):
        raise InputError(f"{beta} is no number", field="beta", remedy="use e.g. 1, or 0 for the plain average")
    if out.exists():
        raise InputError("is there already", file=out, field="--out", remedy="name a new folder")
