"""Models on the line from a base model to a fine-tuned one: theta = theta_0 + w (theta_1 - theta_0).

Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models (WiSE-FT), arXiv 2109.01903.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.models.weight_files import Aligned, write_like
from nearfar.writing import check_free, check_writable, file_claimed, full_disk_noticed

if TYPE_CHECKING:
    import torch

__all__ = ["interpolate"]


def interpolate(base: Path, model: Path, out: Path, weight: float) -> Path:
    """Write the model with the weights theta_0 + w (theta_1 - theta_0).

    Integer tensors and all other files are those of `model`. At the weights 0 and 1 all tensors are exactly those of
    the base model and of `model`.

    Args:
        base: Folder of the base model, theta_0.
        model: Folder of a model that was trained from it, theta_1.
        out: The folder to write, completely or not at all; it must not exist.
        weight: w, from 0 to 1.

    Returns:
        `out`.

    Raises:
        InputError: The weight is out of range, the models do not match, or the folder cannot be written.
    """
    import torch

    if not 0 <= weight <= 1:
        problem = f"invalid value {weight}: must be from 0 to 1"
        raise InputError(problem, field="weight", remedy="use e.g. 0.5")
    check_writable(out)
    with ExitStack() as stack:
        stack.enter_context(file_claimed(out))
        check_free(out)
        models = stack.enter_context(Aligned(base, [model]))
        stack.enter_context(full_disk_noticed(out.parent))

        def between(file: str, tensor: str) -> torch.Tensor:
            start, end = models.read(file, tensor)
            if not end.is_floating_point():
                return end
            # Half precision would round the difference of two close weights.
            wide = torch.promote_types(end.dtype, torch.float32)
            return torch.lerp(start.to(wide), end.to(wide), weight).to(end.dtype)

        write_like(model, out, between)
    return out
