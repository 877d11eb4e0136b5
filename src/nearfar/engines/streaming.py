"""The streaming engine: walks blocks of rows, and takes loss and gradients in the same pass.

No n x m matrix ever exists. A block of S is computed, exponentiated in place, used for the two gradient products and
overwritten by the next one, so that memory stays O((n + m) d) and time stays close to that of the three matrix
products themselves. The symmetric loss takes one pass for the logsumexps of rows and columns, and one for the gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from nearfar.engines.problem import Engine, Problem, Reduction

#: Bytes of one block of S: large enough for the matrix products to run at full speed, and on a CPU small enough for the
#: allocator to hand the same pages out again.
BLOCK_BYTES = {"cpu": 16 << 20, "cuda": 256 << 20}
#: Fewer rows would starve the matrix products; a block this low is never larger than the gradient of 128-d candidates.
LEAST_ROWS = 128


class Streaming(Engine):
    """O((n + m) d) memory; first derivatives only.

    Args:
        block_rows: Rows in a block; None chooses by size and device.
    """

    def __init__(self, block_rows: int | None = None) -> None:
        self.block_rows = block_rows

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`. The gradients wait for their weights, so S is computed once more in the backward pass."""
        return _Rows.apply(*_tensors(problem), problem, self.block_rows)  # type: ignore[return-value]

    def total(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.total`."""
        return _Total.apply(*_tensors(problem), problem, self.block_rows, _wanted(problem))  # type: ignore[return-value]

    def both_ways(self, problem: Problem, reduction: Reduction) -> Tensor:
        """See `Engine.both_ways`."""
        if problem.positives is not None or (problem.far is not None and not problem.far.mirrors):
            return super().both_ways(problem, reduction)
        problem.transposed().bound()  # for its checks
        bound = problem.bound()
        return _BothWays.apply(*_tensors(bound), bound, self.block_rows, _wanted(bound), reduction)  # type: ignore[return-value]


@dataclass
class _Gradients:
    """Where gradients accumulate; None where nobody asked."""

    anchors: Tensor | None
    candidates: Tensor | None
    temperature: Tensor | None
    positives: Tensor | None

    @classmethod
    def zeros(cls, problem: Problem, wanted: tuple[bool, ...]) -> _Gradients:
        a, c, t, p = (torch.zeros_like(x) if want else None for x, want in zip(_tensors(problem), wanted, strict=True))
        # The temperature's gradient falls out of the anchors' or of the candidates' (see `finish`).
        if t is not None and a is None and (c is None or (problem.positives is not None and p is None)):
            a = torch.zeros_like(problem.anchors)
        return cls(a, c, t, p)

    def finish(self, problem: Problem) -> None:
        """dL/dtau = -1/tau sum_ij G_ij x_ij, and sum_j G_ij x_ij = a_i . dL/da_i: no pass over S is needed."""
        if self.temperature is None:
            return
        if self.anchors is not None:
            inner = torch.vdot(self.anchors.flatten(), problem.anchors.flatten())
        else:
            assert self.candidates is not None
            inner = torch.vdot(self.candidates.flatten(), problem.candidates.flatten())
            if problem.positives is not None and self.positives is not None:
                inner = inner + torch.vdot(self.positives.flatten(), problem.positives.flatten())
        self.temperature.copy_(-inner / problem.temperature)

    def take(self, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        grads = (self.anchors, self.candidates, self.temperature, self.positives)
        return tuple(grad if want else None for grad, want in zip(grads, wanted, strict=True))


def _tensors(problem: Problem) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    return problem.anchors, problem.candidates, problem.temperature, problem.positives


def _wanted(problem: Problem) -> tuple[bool, ...]:
    return tuple(torch.is_grad_enabled() and x is not None and x.requires_grad for x in _tensors(problem))


def _with_tensors(problem: Problem, a: Tensor, c: Tensor, t: Tensor, p: Tensor | None) -> Problem:
    return replace(problem, anchors=a, candidates=c, temperature=t, positives=p)


def _blocks(problem: Problem, block_rows: int | None) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Blocks of rows, the scaled anchors of each, and x = S / temperature. The next block overwrites x."""
    n, m = problem.shape
    if block_rows is None:
        bytes_ = BLOCK_BYTES.get(problem.anchors.device.type, BLOCK_BYTES["cuda"])
        block_rows = max(LEAST_ROWS, bytes_ // (m * problem.anchors.element_size()))
    block_rows = min(block_rows, n)
    x = problem.anchors.new_empty(block_rows, m)
    for start in range(0, n, block_rows):
        rows = slice(start, min(start + block_rows, n))
        a = problem.anchors[rows] / problem.temperature
        yield rows, a, torch.mm(a, problem.candidates.T, out=x[: len(a)])


def _exponentiate(x: Tensor) -> tuple[Tensor, Tensor]:
    """x becomes exp(x - top) in place; its row sums z and top, so that logsumexp is top + log z."""
    # A row that is -inf throughout must give z = 0, not NaN.
    top = x.amax(1).clamp_(min=torch.finfo(x.dtype).min)
    x.sub_(top[:, None]).exp_()
    return x.sum(1), top


def _walk(
    problem: Problem, block_rows: int | None, gradients: _Gradients | None, upstream: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Losses and weights of every row; adds sum_i upstream_i dloss_i to `gradients` on the way."""
    n, _ = problem.shape
    losses, weights = problem.anchors.new_empty(n), problem.anchors.new_empty(n)
    temperature = float(problem.temperature.detach())
    for rows, a, x in _blocks(problem, block_rows):
        pull = problem.near.at(rows)
        weight = pull.total()
        target = None if problem.positives is None else pull.mix(problem.positives)
        along = pull.along(x) if target is None else torch.linalg.vecdot(a, target)
        if problem.far is not None:
            problem.far.add_to(x, rows, pull, temperature)
        z, top = _exponentiate(x)
        weights[rows] = weight
        losses[rows] = torch.where(weight > 0, weight * (top + z.log()) - along, 0)
        if gradients is None:
            continue

        # G_ij = scale_i (e_ij - P_ij up_i / scale_i): the rows of `a` are scaled, not the whole block.
        up = torch.ones_like(weight) if upstream is None else upstream[rows]
        alive = (weight > 0) & (z > 0)
        scale = torch.where(alive, up * weight / z, 0)
        if target is None:
            pull.subtract_from(x, torch.where(alive, z / weight, 0))
        if gradients.anchors is not None:
            da = torch.mm(x, problem.candidates).mul_((scale / problem.temperature)[:, None])
            if target is not None:
                da -= target * (up / problem.temperature)[:, None]
            gradients.anchors[rows] = da
        if gradients.candidates is not None:
            gradients.candidates.addmm_(x.T, a * scale[:, None])
        if gradients.positives is not None:
            pull.spread(a * up[:, None], gradients.positives)
    if gradients is not None:
        gradients.finish(problem)
    return losses, weights


class _Total(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, c: Tensor, t: Tensor, p: Tensor | None, problem: Problem, block: Any, wanted: Any):
        problem = _with_tensors(problem, a, c, t, p)
        gradients = _Gradients.zeros(problem, wanted) if any(wanted) else None
        losses, weights = _walk(problem, block, gradients)
        ctx.mark_non_differentiable(weights)
        if gradients is not None:
            ctx.gradients = gradients.take(wanted)
            ctx.save_for_backward(a, c, t, p)
        return losses.sum(), weights

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor):
        return (*_first_order(ctx, [g if g is None else g * upstream for g in ctx.gradients]), None, None, None)


class _Rows(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, c: Tensor, t: Tensor, p: Tensor | None, problem: Problem, block: Any):
        losses, weights = _walk(_with_tensors(problem, a, c, t, p), block, None)
        ctx.mark_non_differentiable(weights)
        ctx.problem, ctx.block = problem, block
        ctx.save_for_backward(a, c, t, p)
        return losses, weights

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor):
        with torch.no_grad():
            problem = _with_tensors(ctx.problem, *ctx.saved_tensors)
            wanted = ctx.needs_input_grad[:4]
            gradients = _Gradients.zeros(problem, wanted)
            _walk(problem, ctx.block, gradients, upstream)
        return (*_first_order(ctx, gradients.take(wanted)), None, None)


class _BothWays(Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, c: Tensor, t: Tensor, p: None, problem: Problem, block: Any, wanted: Any, reduction: str
    ):
        problem = _with_tensors(problem, a, c, t, p)
        gradients = _Gradients.zeros(problem, wanted) if any(wanted) else None
        loss = _walk_both_ways(problem, block, gradients, reduction)
        if gradients is not None:
            ctx.gradients = gradients.take(wanted)
            ctx.save_for_backward(a, c, t, p)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor):
        grads = _first_order(ctx, [g if g is None else g * upstream for g in ctx.gradients])
        return (*grads, None, None, None, None)


def _walk_both_ways(problem: Problem, block: int | None, gradients: _Gradients | None, reduction: str) -> Tensor:
    (n, m), like = problem.shape, problem.anchors
    lowest = torch.finfo(like.dtype).min
    temperature = float(problem.temperature.detach())
    theirs = problem.near.over_columns()

    row_logz, row_weight = like.new_empty(n), like.new_empty(n)
    column_top, column_z, column_weight = like.new_full((m,), lowest), like.new_zeros(m), like.new_zeros(m)
    row_along, column_along = like.new_zeros(()), like.new_zeros(())
    for rows, _, x in _blocks(problem, block):
        pull, back = problem.near.at(rows), theirs.at(rows)
        row_weight[rows] = pull.total()
        back.add_totals_to(column_weight)
        row_along += pull.along(x).sum()
        column_along += back.along(x).sum()
        if problem.far is not None:
            problem.far.add_to(x, rows, pull, temperature)
        top = torch.maximum(column_top, x.amax(0))
        column_z.mul_((column_top - top).exp_()).add_(torch.sub(x, top).exp_().sum(0))
        column_top = top
        z, top = _exponentiate(x)
        row_logz[rows] = top + z.log()
    column_logz = column_top + column_z.log()

    by_row, by_column = (
        (w > 0).sum().to(like.dtype).reciprocal() if reduction == "mean" else like.new_ones(())
        for w in (row_weight, column_weight)
    )
    one = torch.where(row_weight > 0, row_weight * row_logz, 0).sum() - row_along
    other = torch.where(column_weight > 0, column_weight * column_logz, 0).sum() - column_along
    loss = (one * by_row + other * by_column) / 2
    if gradients is None:
        return loss

    # log of the factor that a row, or a column, puts before its softmax; -inf where it has none.
    row_shift = (row_weight * by_row / 2).log() - row_logz.nan_to_num(neginf=torch.inf)
    column_shift = (column_weight * by_column / 2).log() - column_logz.nan_to_num(neginf=torch.inf)
    for rows, a, x in _blocks(problem, block):
        pull, back = problem.near.at(rows), theirs.at(rows)
        if problem.far is not None:
            problem.far.add_to(x, rows, pull, temperature)
        by_columns = torch.add(x, column_shift).exp_()
        g = x.add_(row_shift[rows, None]).exp_().add_(by_columns)
        pull.subtract_from(g, (by_row / 2).expand(len(a)))
        back.subtract_from(g, (by_column / 2).expand(len(a)))
        if gradients.anchors is not None:
            gradients.anchors[rows] = torch.mm(g, problem.candidates) / problem.temperature
        if gradients.candidates is not None:
            gradients.candidates.addmm_(g.T, a)
    gradients.finish(problem)
    return loss


class _FirstOrderOnly(Function):
    """Passes a gradient through, and explains itself if someone asks for the gradient of that gradient."""

    @staticmethod
    def forward(ctx: FunctionCtx, gradient: Tensor, *_: Tensor) -> Tensor:
        return gradient.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, *_: Tensor):  # type: ignore[override]
        raise RuntimeError(
            "nearfar.contrast: the fast engines have no second derivative; "
            'pass engine="dense" to differentiate a gradient'
        )


def _first_order(ctx: Any, gradients: Any) -> list[Tensor | None]:
    if not torch.is_grad_enabled():
        return list(gradients)
    inputs = [x for x in ctx.saved_tensors if x is not None]
    return [g if g is None else _FirstOrderOnly.apply(g, *inputs) for g in gradients]
