"""The kernel's front door: `contrast`, the one loss that every recipe composes."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from nearfar.engines import choose
from nearfar.engines.cosine import unit_rows
from nearfar.engines.problem import Engine, Problem, reduced
from nearfar.far import Far
from nearfar.near import Near, paired

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch.distributed import ProcessGroup

__all__ = ["contrast"]

EngineName = Literal["auto", "dense", "streaming", "triton"]


def contrast(
    anchors: Float[Tensor, "n d"],
    candidates: Float[Tensor, "m d"],
    near: Near = paired(),  # noqa: B008 - an immutable description
    far: Far | None = None,
    positives: Float[Tensor, "m d"] | None = None,
    temperature: float | Float[Tensor, ""] = 0.05,
    similarity: Literal["cosine", "dot"] = "cosine",
    symmetric: bool = False,
    reduction: Literal["mean", "sum", "none"] = "mean",
    engine: EngineName | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    """Pull anchors towards what is near, push them from what is far.

        logZ_i = logsumexp_j( S_ij / tau + F_ij )
        loss_i = sum_j P_ij ( logZ_i - S_ij / tau )

    with similarity S (n, m), nearness P >= 0 and farness F in [-inf, inf). F changes the denominator only. The sum of a
    row of P is that anchor's weight; an anchor whose row is all zero takes no part in the mean.

    Args:
        anchors: float64, float32, bfloat16 or float16; half precision is raised to float32 for all sums.
        candidates: In the same space.
        near: Builder of P, see `nearfar.near`.
        far: Builder of F, see `nearfar.far`; builders add up with `+`.
        positives: Replaces the candidates in the numerator only (pull towards one set, push from another).
        temperature: tau > 0; a 0-d tensor that requires grad gets its exact gradient.
        similarity: `"cosine"` normalises both sides, `"dot"` takes them as they are.
        symmetric: Half this direction, half the opposite one (candidates as anchors), as in CLIP.
        reduction: `"none"` gives one loss an anchor, 0 where its row of P is zero.
        engine: `"dense"` is the reference and can be differentiated twice; `"streaming"` never holds an n x m matrix;
            `"triton"` is the same on a GPU; `"auto"` takes `"triton"` on a GPU that has it, else `"streaming"`.
        group: Processes that each hold a shard of one global batch. Value and gradients are those of one process that
            holds the anchors of all, then the candidates that belong to them, then the extra candidates of all.

    Raises:
        ValueError: shapes that do not fit, an empty batch, NaN or infinity in the input, no anchor with a positive
            (the mean has nothing to average; a sum of no losses is 0), nothing left in a denominator.

    Example:
        >>> loss = contrast(queries, documents, temperature=0.05)                          # InfoNCE
        >>> loss = contrast(z, z, near.same_label(y), far.except_self(), temperature=0.1)  # SupCon
        >>> loss = contrast(images, texts, temperature=tau, symmetric=True)                # CLIP
    """
    _check(anchors, candidates, positives, similarity, reduction)
    _check_called(near, far)
    with _full_precision(anchors.device.type):
        dtype = torch.promote_types(anchors.dtype, candidates.dtype)
        dtype = dtype if dtype == torch.float64 else torch.float32
        tau = _temperature(temperature, anchors.device, dtype)
        a, c, p = (None if x is None else _prepared(x, dtype, similarity) for x in (anchors, candidates, positives))
        assert a is not None
        assert c is not None
        reach = 1 / float(tau.detach()) if similarity == "cosine" else math.inf
        problem = Problem(a, c, near, far, tau, p, reach)
        runner = choose(engine, problem, group)
        if reduction != "none":
            if symmetric:
                loss = runner.both_ways(problem, reduction)
            else:
                loss = reduced(*runner.total(runner.ready(problem)), reduction)
        else:
            loss, _ = runner.rows(runner.ready(problem))
            if symmetric:
                if a.shape != c.shape:
                    raise ValueError('symmetric=True with reduction="none" needs as many candidates as anchors')
                loss = (loss + runner.rows(runner.ready(problem.transposed()))[0]) / 2
        # The inputs too: a NaN in an anchor without a positive leaves the loss finite, but not the gradients.
        if not _finite(loss, anchors, candidates, positives):
            raise ValueError(_explain(problem, anchors, candidates, positives, group))
        return loss


def _finite(*tensors: Tensor | None) -> bool:
    found = [x.detach() for x in tensors if x is not None]
    # NaN and infinity survive in a sum, which is the cheapest sweep there is; a sum may also overflow by itself.
    sums = torch.stack([x.sum(dtype=torch.promote_types(x.dtype, torch.float32)).double() for x in found])
    return bool(torch.isfinite(sums).all()) or all(bool(torch.isfinite(x).all()) for x in found)


def _check(anchors: Tensor, candidates: Tensor, positives: Tensor | None, similarity: str, reduction: str) -> None:
    if similarity not in ("cosine", "dot"):
        raise ValueError(f'similarity={similarity!r} is not known; use "cosine" or "dot"')
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction={reduction!r} is not known; use "mean", "sum" or "none"')
    for name, x in (("anchors", anchors), ("candidates", candidates), ("positives", positives)):
        if x is None:
            continue
        if x.ndim != 2:
            raise ValueError(f"{name} must be a matrix (rows, d), got shape {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ValueError(f"{name} must be floating point, got {x.dtype}")
        if len(x) == 0 or x.shape[1] == 0:
            raise ValueError(f"{name} are empty: shape {tuple(x.shape)}")
        if x.shape[1] != anchors.shape[1]:
            raise ValueError(
                f"anchors and {name} must have the same width, got {tuple(anchors.shape)} and {tuple(x.shape)}"
            )
        if x.device != anchors.device:
            raise ValueError(f"anchors are on {anchors.device}, {name} on {x.device}; move them to one device")
    if positives is not None and len(positives) != len(candidates):
        raise ValueError(
            "positives stand in for the candidates, row by row: "
            f"{len(candidates)} candidates, {len(positives)} positives"
        )


def _check_called(near: object, far: object) -> None:
    if not isinstance(near, Near):
        raise ValueError(f"near takes what a builder of nearfar.near returns, such as near.paired(), got {near!r}")
    if far is not None and not isinstance(far, Far):
        raise ValueError(f"far takes what a builder of nearfar.far returns, such as far.except_self(), got {far!r}")


def _temperature(temperature: float | Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    tau = torch.as_tensor(temperature, dtype=dtype, device=device)
    if tau.numel() != 1:
        raise ValueError(f"temperature must be a number or a 0-d tensor, got shape {tuple(tau.shape)}")
    if not 0 < float(tau.detach()) < float("inf"):
        raise ValueError(f"temperature must be > 0, got {float(tau.detach())}")
    return tau.reshape(())


def _prepared(x: Tensor, dtype: torch.dtype, similarity: str) -> Tensor:
    x = x.to(dtype)
    return unit_rows(x) if similarity == "cosine" else x.contiguous()


def _full_precision(device: str) -> contextlib.AbstractContextManager[object]:
    """Autocast would turn the products back into half precision."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else contextlib.nullcontext()


def _explain(
    problem: Problem, anchors: Tensor, candidates: Tensor, positives: Tensor | None, group: ProcessGroup | None
) -> str:
    for name, x in (("anchors", anchors), ("candidates", candidates), ("positives", positives)):
        if x is not None and not bool((finite := torch.isfinite(x).all(1)).all()):
            row = int((~finite).nonzero()[0])
            return f"{name}[{row}] holds NaN or infinity; look at the model's output (a learning rate too high, fp16?)"
    if group is not None:
        return (
            "the loss of the group is not finite: another process holds NaN or infinity, no anchor has a positive, "
            "far leaves nothing in the denominator of an anchor, or similarity / temperature overflows"
        )
    near = problem.bound().near
    blocks = (slice(start, min(start + 256, len(anchors))) for start in range(0, len(anchors), 256))
    if not any(bool((near.at(rows).total() > 0).any()) for rows in blocks):
        return "no anchor has a positive: every row of P is zero; give the batch a pair that belongs together"
    return (
        "the loss is not finite: far leaves nothing in the denominator of an anchor, "
        "or similarity / temperature overflows"
    )
