"""Checks of the arguments and of the value of `contrast`, with their error messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.blocks import Far, Near
from nearfar.engines.problem import Problem

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


def check(
    anchors: Tensor,
    candidates: Tensor,
    positives: Tensor | None,
    near: object,
    far: object,
    similarity: str,
    reduction: str,
) -> None:
    """Check the arguments before a builder or an engine is called.

    Raises:
        ValueError: An argument is invalid.
    """
    if similarity not in ("cosine", "dot"):
        raise ValueError(f'invalid similarity: must be "cosine" or "dot", got {similarity!r}')
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'invalid reduction: must be "mean", "sum" or "none", got {reduction!r}')
    for name, x in (("anchors", anchors), ("candidates", candidates), ("positives", positives)):
        if x is None:
            continue
        if x.ndim != 2:
            raise ValueError(f"{name}: expected a matrix (rows, d), got shape {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ValueError(f"{name}: expected floating point, got {x.dtype}")
        if len(x) == 0 or x.shape[1] == 0:
            raise ValueError(f"{name}: empty, got shape {tuple(x.shape)}")
        if x.shape[1] != anchors.shape[1]:
            raise ValueError(
                f"anchors and {name} must have the same width, got {tuple(anchors.shape)} and {tuple(x.shape)}"
            )
        if x.device != anchors.device:
            raise ValueError(f"anchors are on {anchors.device}, {name} on {x.device}; move them to one device")
    if positives is not None and len(positives) != len(candidates):
        raise ValueError(f"expected one positive for each of the {len(candidates)} candidates, got {len(positives)}")
    if not isinstance(near, Near):
        raise ValueError(f"near: expected what a builder of nearfar.near returns, such as near.paired(), got {near!r}")
    if far is not None and not isinstance(far, Far):
        raise ValueError(f"far: expected what a builder of nearfar.far returns, such as far.except_self(), got {far!r}")


def is_finite(*tensors: Tensor | None) -> bool:
    """No tensor contains NaN or infinity."""
    found = [x.detach() for x in tensors if x is not None]
    # NaN and infinity survive in a sum, which is the cheapest sweep there is; a sum may also overflow by itself.
    sums = torch.stack([x.sum(dtype=torch.promote_types(x.dtype, torch.float32)).double() for x in found])
    return bool(torch.isfinite(sums).all()) or all(bool(torch.isfinite(x).all()) for x in found)


def explain(
    problem: Problem, anchors: Tensor, candidates: Tensor, positives: Tensor | None, group: ProcessGroup | None
) -> str:
    """Why the value or an input is not finite."""
    for name, x in (("anchors", anchors), ("candidates", candidates), ("positives", positives)):
        if x is not None and not bool((finite := torch.isfinite(x).all(1)).all()):
            row = int((~finite).nonzero()[0])
            return (
                f"{name}[{row}] contains NaN or infinity; check the output of the model "
                "(learning rate too high? float16?)"
            )
    if group is not None:
        return (
            "the loss of the group is not finite: vectors of another process contain NaN or infinity, no anchor has a "
            "positive, far removes every candidate of an anchor, or similarity / temperature overflows"
        )
    near = problem.bound().near
    blocks = (slice(start, min(start + 256, len(anchors))) for start in range(0, len(anchors), 256))
    if not any(bool((near.at(rows).row_sums() > 0).any()) for rows in blocks):
        return "no anchor has a positive: every row of P is zero; the batch must contain a positive pair"
    return "the loss is not finite: far removes every candidate of an anchor, or similarity / temperature overflows"
