"""The walk over the upper triangle of a symmetric problem, such as SupCon's and NT-Xent's: half of S, twice."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nearfar.engines.corner import Corner
from nearfar.engines.gradients import Gradients
from nearfar.engines.problem import Problem
from nearfar.engines.softmax import Softmax


def walk(
    problem: Problem, block_rows: int | None, softmax: Softmax, gradients: Gradients | None
) -> tuple[Tensor, Tensor]:
    """The sum of the losses and the weight of every row, for vectors a that are both anchors and candidates.

    S, P and F are symmetric, so x = S / tau + F is, and block (I, J) serves the rows of I and those of J:

        loss    = sum_i w_i logZ_i - sum_ij P_ij S_ij / tau,   w_i = sum_j P_ij,   logZ_i = logsumexp_j x_ij
        dloss/da_i = 1/tau sum_j H_ij a_j
        H_ij    = G_ij + G_ji = exp(x_ij) (w_i / Z_i + w_j / Z_j) - 2 P_ij,   G = dloss / d(S / tau)

    H needs every Z, so a first pass over the upper triangle takes the logsumexps, and a second one the gradient: with
    the products H a of both halves, two products of full size in place of three, and less where blocks of the first
    pass stay in memory for the second.

    A block has the rows I and all columns from the first of I on. The square I x I at its left is its own mirror image:
    a sum over a block and its mirror image takes half of the square twice.
    """
    a_all, n = problem.anchors, len(problem.anchors)
    temperature = float(problem.temperature.detach())
    reach = problem.bound_of_x + math.log(n)  # of x, of logZ and of x - logZ
    logz, weights = a_all.new_full((n,), -torch.inf), a_all.new_zeros(n)
    numerator = a_all.new_zeros(())
    corner = Corner(problem, block_rows, keep=gradients is not None)
    for rows, a, x in corner.first_pass():
        # x: S / tau
        b, after = len(a), slice(rows.stop, n)
        targets = problem.near.corner(rows)
        weights[rows] += targets.row_sums()
        weights[after] += targets.column_sums()[b:]
        x[:, :b] *= 0.5
        numerator += 2 * targets.weighted_row_sums(x).sum()
        x[:, :b] *= 2
        if problem.far is not None:
            problem.far.corner(rows.start).add_to(x, slice(0, b), targets, temperature)
        # x: S / tau + F
        of_rows, of_columns = softmax.logsumexps(corner.to_overwrite(x, rows), reach)
        logz[rows] = torch.logaddexp(logz[rows], of_rows)
        logz[after] = torch.logaddexp(logz[after], of_columns[b:])

    loss = torch.where(weights > 0, weights * logz, 0).sum() - numerator
    if gradients is None:
        return loss, weights

    # log of w / Z; -inf where a row takes no part, or F leaves nothing in its denominator.
    shift = weights.log() - logz.nan_to_num(neginf=torch.inf)
    if gradients.anchors is not None:
        gradients.anchors.zero_()
    for rows, a, x, with_far in corner.second_pass():
        # x: S / tau, or S / tau + F
        b, rest = len(a), slice(rows.start, n)
        targets = problem.near.corner(rows)
        far = None if problem.far is None else problem.far.corner(rows.start)
        if far is not None and not with_far:
            far.add_to(x, slice(0, b), targets, temperature)
        # x: S / tau + F
        softmax.exponentiate_both(x, shift[rows], shift[rest], reach)
        # x: H + 2 P
        if far is not None and gradients.any_far:
            x[:, :b] *= 0.5
            far.backward(x, x.new_ones(b), slice(0, b), [None if g is None else g[rest] for g in gradients.far])
            x[:, :b] *= 2
        targets.subtract_from(x, x.new_full((b,), 2.0))
        # x: H
        if gradients.anchors is not None:
            gradients.anchors[rows].addmm_(x, a_all[rest], alpha=1 / temperature)
            gradients.anchors[rows.stop :].addmm_(x[:, b:].T, a)
    gradients.finish(problem, sides=2)
    return loss, weights
