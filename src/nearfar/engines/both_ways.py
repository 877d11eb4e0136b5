"""The walk of the symmetric loss: one pass for the logsumexps of rows and columns, one for the gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nearfar.engines.gradients import Gradients
from nearfar.engines.problem import Problem
from nearfar.engines.similarity_blocks import row_blocks
from nearfar.engines.softmax import Softmax


def walk(
    problem: Problem, block_rows: int | None, softmax: Softmax, gradients: Gradients | None, reduction: str
) -> tuple[Tensor, Tensor]:
    """Half the loss of both directions, and the weights of the anchors.

    Both directions have the same s = S / tau and x = s + F. Q, the target weights of the opposite one, is laid out like
    P: Q_ij is the weight of anchor i for candidate j. With v_i = sum_j P_ij, w_j = sum_i Q_ij, and k and k' anchors
    that take part (1 for a sum),

        loss       = 1/2k  sum_i (v_i logsumexp_j x_ij - sum_j P_ij s_ij)
                   + 1/2k' sum_j (w_j logsumexp_i x_ij - sum_i Q_ij s_ij)
        dloss/ds_ij = exp(x_ij + row_shift_i) + exp(x_ij + column_shift_j) - P_ij / 2k - Q_ij / 2k'
        row_shift_i = log(v_i / 2k) - logsumexp_j x_ij,   column_shift_j = log(w_j / 2k') - logsumexp_i x_ij

    Both logsumexps must be complete before the first gradient, hence the second pass.
    """
    (n, m), like = problem.shape, problem.anchors
    temperature, reach = float(problem.temperature.detach()), problem.bound_of_x
    opposite = problem.near.over_columns()
    assert opposite is not None

    row_logz, row_weight = like.new_empty(n), like.new_empty(n)
    column_logz, column_weight = like.new_full((m,), -torch.inf), like.new_zeros(m)
    row_numerator, column_numerator = like.new_zeros(()), like.new_zeros(())
    for rows, _, x in row_blocks(problem, block_rows):
        # x: s
        p, q = problem.near.at(rows), opposite.at(rows)
        row_weight[rows] = p.row_sums()
        column_weight += q.column_sums()
        row_numerator += p.weighted_row_sums(x).sum()
        column_numerator += q.weighted_row_sums(x).sum()
        if problem.far is not None:
            problem.far.add_to(x, rows, p, temperature)
        # x: s + F, of no use afterwards
        row_logz[rows], columns = softmax.logsumexps(x, reach)
        torch.logaddexp(column_logz, columns, out=column_logz)

    by_row, by_column = (
        (w > 0).sum().to(like.dtype).reciprocal() if reduction == "mean" else like.new_ones(())
        for w in (row_weight, column_weight)
    )
    one = torch.where(row_weight > 0, row_weight * row_logz, 0).sum() - row_numerator
    other = torch.where(column_weight > 0, column_weight * column_logz, 0).sum() - column_numerator
    loss = (one * by_row + other * by_column) / 2
    if gradients is None:
        return loss, row_weight

    # -inf where a row or a column takes no part, or F leaves nothing in its denominator.
    row_shift = (row_weight * by_row / 2).log() - row_logz.nan_to_num(neginf=torch.inf)
    column_shift = (column_weight * by_column / 2).log() - column_logz.nan_to_num(neginf=torch.inf)
    for rows, a, x in row_blocks(problem, block_rows):
        # x: s
        p, q = problem.near.at(rows), opposite.at(rows)
        if problem.far is not None:
            problem.far.add_to(x, rows, p, temperature)
        # x: s + F
        softmax.exponentiate_both(x, row_shift[rows], column_shift, reach + math.log(2 * n * m))
        # x: dloss/dF
        if problem.far is not None and gradients.any_far:
            problem.far.backward(x, x.new_ones(len(x)), rows, gradients.far)
        p.subtract_from(x, (by_row / 2).expand(len(a)))
        q.subtract_from(x, (by_column / 2).expand(len(a)))
        # x: dloss/ds
        if gradients.anchors is not None:
            torch.mm(x, problem.candidates, out=gradients.anchors[rows]).div_(problem.temperature)
        if gradients.candidates is not None:
            gradients.candidates.addmm_(x.T, a, beta=min(rows.start, 1))
    gradients.finish(problem)
    return loss, row_weight
