"""The streaming engine: walks blocks of rows, and takes loss and gradients in the same pass.

No n x m matrix ever exists. A block of S is computed, exponentiated in place, used for the two gradient products and
overwritten by the next one, so that memory stays O((n + m) d) and time stays close to that of the three matrix
products themselves. The symmetric loss takes one pass for the logsumexps of rows and columns, and one for the
gradients.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from nearfar.engines.gradients import Gradients, first_order, hand_out, tensors, wants, with_tensors
from nearfar.engines.problem import Engine, Problem, Reduction
from nearfar.engines.softmax import Softmax

#: Bytes of one block of S, and of what builders make of its size: enough for matrix products to run at full speed.
BLOCK_BYTES = {"cpu": 64 << 20, "cuda": 256 << 20}
#: Fewer rows would starve the matrix products; a block this low is never larger than the gradient of 128-d candidates.
LEAST_ROWS = 128


class Streaming(Engine):
    """O((n + m) d) memory; first derivatives only.

    Args:
        block_rows: Rows in a block; None chooses by size and device.
        softmax: What is done to a block between its matrix products.
    """

    def __init__(self, block_rows: int | None = None, softmax: Softmax = Softmax()) -> None:  # noqa: B008 - no state
        self.block_rows, self.softmax = block_rows, softmax

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`. The gradients wait for their weights, so S is computed once more in the backward pass."""
        return _Rows.apply(*tensors(problem), problem, self)  # type: ignore[return-value]

    def total(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.total`."""
        return _Total.apply(*tensors(problem), problem, self, wants(problem))  # type: ignore[return-value]

    def both_ways(self, problem: Problem, reduction: Reduction) -> Tensor:
        """See `Engine.both_ways`."""
        if problem.positives is not None or (problem.far is not None and not problem.far.mirrors):
            return super().both_ways(problem, reduction)
        problem.transposed().bound()  # for its checks
        bound = problem.bound()
        if bound.near.over_columns() is None:
            return super().both_ways(problem, reduction)
        return _BothWays.apply(*tensors(bound), bound, self, wants(bound), reduction)  # type: ignore[return-value]


def _blocks(problem: Problem, block_rows: int | None) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Blocks of rows, the scaled anchors of each, and x = S / temperature. The next block overwrites x."""
    n, m = problem.shape
    if block_rows is None:
        bytes_ = BLOCK_BYTES.get(problem.anchors.device.type, BLOCK_BYTES["cuda"])
        if not problem.lean:
            # What the builders make of a block's size takes room too, and below 32 MB malloc keeps the pages of what is
            # freed, so that the next block need not fault them in again.
            bytes_ = bytes_ * 3 // 8
        block_rows = max(LEAST_ROWS, bytes_ // (m * problem.anchors.element_size()))
    block_rows = min(block_rows, n)
    x = _scratch(block_rows, m, problem.anchors)
    for start in range(0, n, block_rows):
        rows = slice(start, min(start + block_rows, n))
        a = problem.anchors[rows] / problem.temperature
        yield rows, a, torch.mm(a, problem.candidates.T, out=x[: len(a)])


_kept = threading.local()


def _scratch(rows: int, columns: int, like: Tensor) -> Tensor:
    """A matrix to write over. On a CPU its memory is kept for the next call: new pages cost as much as a sweep."""
    if like.device.type != "cpu" or rows * columns * like.element_size() > BLOCK_BYTES["cpu"]:
        return like.new_empty(rows, columns)
    flat = getattr(_kept, "flat", None)
    if flat is None or flat.dtype != like.dtype or flat.numel() < rows * columns:
        _kept.flat = flat = like.new_empty(rows * columns)
    return flat[: rows * columns].view(rows, columns)


def _walk(
    problem: Problem, engine: Streaming, gradients: Gradients | None, upstream: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Losses and weights of every row; adds sum_i upstream_i dloss_i to `gradients` on the way."""
    n, _ = problem.shape
    losses, weights = problem.anchors.new_empty(n), problem.anchors.new_empty(n)
    temperature = float(problem.temperature.detach())
    reach = problem.reach if problem.far is None or problem.far.lowers else math.inf
    for rows, a, x in _blocks(problem, engine.block_rows):
        pull = problem.near.at(rows)
        weight = pull.total()
        target = None if problem.positives is None else pull.mix(problem.positives)
        along = pull.along(x) if target is None else torch.linalg.vecdot(a, target)
        if problem.far is not None:
            problem.far.add_to(x, rows, pull, temperature)
        z, top = engine.softmax.exponentiate(x, keep=gradients is not None, reach=reach)
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
            da = torch.mm(x, problem.candidates, out=gradients.anchors[rows])
            da *= (scale / problem.temperature)[:, None]
            if target is not None:
                da -= target * (up / problem.temperature)[:, None]
        if gradients.positives is not None:
            pull.spread(a * up[:, None], gradients.positives)
        if gradients.candidates is not None:
            gradients.candidates.addmm_(x.T, a.mul_(scale[:, None]), beta=min(rows.start, 1))
    if gradients is not None:
        gradients.finish(problem)
    return losses, weights


class _Total(Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, c: Tensor, t: Tensor, p: Tensor | None, problem: Problem, engine: Any, wanted: Any
    ):
        problem = with_tensors(problem, a, c, t, p)
        gradients = Gradients.blank(problem, wanted) if any(wanted) else None
        losses, weights = _walk(problem, engine, gradients)
        ctx.mark_non_differentiable(weights)
        ctx.gradients, ctx.asked = gradients, (problem, engine, wanted)
        ctx.save_for_backward(a, c, t, p)
        return losses.sum(), weights

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor):  # type: ignore[override]
        problem, engine, wanted = ctx.asked

        def again() -> Gradients:
            gradients = Gradients.blank(problem, wanted)
            _walk(problem, engine, gradients)
            return gradients

        return (*hand_out(ctx, upstream, again, wanted), None, None, None)


class _Rows(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, c: Tensor, t: Tensor, p: Tensor | None, problem: Problem, engine: Any):
        losses, weights = _walk(with_tensors(problem, a, c, t, p), engine, None)
        ctx.mark_non_differentiable(weights)
        ctx.problem, ctx.engine = problem, engine
        ctx.save_for_backward(a, c, t, p)
        return losses, weights

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor):  # type: ignore[override]
        # A backward pass inside an autocast region would lower the products here.
        with torch.no_grad(), torch.autocast(upstream.device.type, enabled=False):
            problem = with_tensors(ctx.problem, *ctx.saved_tensors)
            wanted = ctx.needs_input_grad[:4]
            gradients = Gradients.blank(problem, wanted)
            _walk(problem, ctx.engine, gradients, upstream)
        return (*first_order(ctx, gradients.take(wanted)), None, None)


class _BothWays(Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, c: Tensor, t: Tensor, p: None, problem: Problem, engine: Any, wanted: Any, reduction: str
    ):
        problem = with_tensors(problem, a, c, t, p)
        gradients = Gradients.blank(problem, wanted) if any(wanted) else None
        loss = _walk_both_ways(problem, engine, gradients, reduction)
        ctx.gradients, ctx.asked = gradients, (problem, engine, wanted, reduction)
        ctx.save_for_backward(a, c, t, p)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor):  # type: ignore[override]
        problem, engine, wanted, reduction = ctx.asked

        def again() -> Gradients:
            gradients = Gradients.blank(problem, wanted)
            _walk_both_ways(problem, engine, gradients, reduction)
            return gradients

        return (*hand_out(ctx, upstream, again, wanted), None, None, None, None)


def _walk_both_ways(problem: Problem, engine: Streaming, gradients: Gradients | None, reduction: str) -> Tensor:
    (n, m), like = problem.shape, problem.anchors
    temperature = float(problem.temperature.detach())
    theirs = problem.near.over_columns()
    assert theirs is not None

    row_logz, row_weight = like.new_empty(n), like.new_empty(n)
    column_logz, column_weight = like.new_full((m,), -torch.inf), like.new_zeros(m)
    row_along, column_along = like.new_zeros(()), like.new_zeros(())
    for rows, _, x in _blocks(problem, engine.block_rows):
        pull, back = problem.near.at(rows), theirs.at(rows)
        row_weight[rows] = pull.total()
        back.add_totals_to(column_weight)
        row_along += pull.along(x).sum()
        column_along += back.along(x).sum()
        if problem.far is not None:
            problem.far.add_to(x, rows, pull, temperature)
        row_logz[rows], columns = engine.softmax.logsumexps(x)
        torch.logaddexp(column_logz, columns, out=column_logz)

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
    for rows, a, x in _blocks(problem, engine.block_rows):
        pull, back = problem.near.at(rows), theirs.at(rows)
        if problem.far is not None:
            problem.far.add_to(x, rows, pull, temperature)
        engine.softmax.exponentiate_both(x, row_shift[rows], column_shift)
        pull.subtract_from(x, (by_row / 2).expand(len(a)))
        back.subtract_from(x, (by_column / 2).expand(len(a)))
        if gradients.anchors is not None:
            torch.mm(x, problem.candidates, out=gradients.anchors[rows]).div_(problem.temperature)
        if gradients.candidates is not None:
            gradients.candidates.addmm_(x.T, a, beta=min(rows.start, 1))
    gradients.finish(problem)
    return loss
