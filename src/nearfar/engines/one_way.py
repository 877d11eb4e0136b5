"""The walk over blocks of rows that takes loss and gradients of one direction in the same pass."""

from __future__ import annotations

import torch
from torch import Tensor

from nearfar.engines.gradients import Gradients
from nearfar.engines.problem import Problem
from nearfar.engines.similarity_blocks import row_blocks
from nearfar.engines.softmax import Softmax


def walk(
    problem: Problem,
    block_rows: int | None,
    softmax: Softmax,
    gradients: Gradients | None,
    upstream: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The loss and the weight of every row; adds sum_i u_i dloss_i to `gradients`, u = `upstream` or 1.

    With w_i = sum_j P_ij, s = S / tau and x = s + F,

        loss_i     = w_i logZ_i - sum_j P_ij s_ij,   logZ_i = logsumexp_j x_ij
        dloss/ds_ij = w_i exp(x_ij - logZ_i) - P_ij          (dloss/dF_ij is the first term alone)

    A block keeps e_ij = exp(x_ij - top_i) and z_i = sum_j e_ij instead of the softmax e_ij / z_i. With
    scale_i = u_i w_i / z_i the gradient is scale_i (e_ij - P_ij z_i / w_i), so the block needs no multiplication: the
    factor goes to the rows of the two products,

        dL/da_i = scale_i / tau sum_j (e_ij - P_ij z_i / w_i) c_j
        dL/dc_j = sum_i (e_ij - P_ij z_i / w_i) (scale_i a_i / tau)

    With `positives` the numerator is w_i times the similarity with sum_j P_ij p_j / w_i: P stays out of the block.
    """
    n, _ = problem.shape
    losses, weights = problem.anchors.new_empty(n), problem.anchors.new_empty(n)
    temperature = float(problem.temperature.detach())
    for rows, a, x in row_blocks(problem, block_rows):
        # x: s
        targets = problem.near.at(rows)
        weight = targets.row_sums()
        pulled_to = None if problem.positives is None else targets.matmul(problem.positives)
        numerator = targets.weighted_row_sums(x) if pulled_to is None else torch.linalg.vecdot(a, pulled_to)
        if problem.far is not None:
            problem.far.add_to(x, rows, targets, temperature)
        # x: s + F
        z, top = softmax.exponentiate(x, keep=gradients is not None, reach=problem.bound_of_x)
        # x: e = exp(s + F - top)
        weights[rows] = weight
        losses[rows] = torch.where(weight > 0, weight * (top + z.log()) - numerator, 0)
        if gradients is None:
            continue

        up = torch.ones_like(weight) if upstream is None else upstream[rows]
        alive = (weight > 0) & (z > 0)
        scale = torch.where(alive, up * weight / z, 0)
        if problem.far is not None and gradients.any_far:
            problem.far.backward(x, scale, rows, gradients.far)
        if pulled_to is None:
            targets.subtract_from(x, torch.where(alive, z / weight, 0))
        # x: dL/ds over the scale of each row
        if gradients.anchors is not None:
            da = torch.mm(x, problem.candidates, out=gradients.anchors[rows])
            da *= (scale / problem.temperature)[:, None]
            if pulled_to is not None:
                da -= pulled_to * (up / problem.temperature)[:, None]
        if gradients.positives is not None:
            targets.scatter_add(a * -up[:, None], gradients.positives)
        if gradients.candidates is not None:
            gradients.candidates.addmm_(x.T, a.mul_(scale[:, None]), beta=min(rows.start, 1))
    if gradients is not None:
        gradients.finish(problem)
    return losses, weights
