"""What the fast engines share: where gradients accumulate, and how they reach autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from nearfar.engines.problem import Problem

Walk = Callable[[Problem, "Gradients | None"], tuple[Tensor, Tensor]]


def wants(problem: Problem) -> tuple[bool, ...]:
    """Which of the problem's tensors require a gradient."""
    return tuple(torch.is_grad_enabled() and x is not None and x.requires_grad for x in problem.tensors())


@dataclass
class Gradients:
    """Where gradients accumulate; None where none is wanted."""

    anchors: Tensor | None
    candidates: Tensor | None
    temperature: Tensor | None
    positives: Tensor | None
    far: tuple[Tensor | None, ...]

    @property
    def any_far(self) -> bool:
        """F has a gradient that is wanted."""
        return any(x is not None for x in self.far)

    @classmethod
    def blank(cls, problem: Problem, wanted: Sequence[bool]) -> Gradients:
        """Memory for what is `wanted`, and for what the gradient of the temperature is made from.

        Only those of the positives and of F are zero: that of an anchor is written once, and a first block overwrites
        those of the candidates.
        """
        pairs = zip(problem.tensors(), wanted, strict=True)
        a, c, t, p, *far = (None if x is None or not want else torch.empty_like(x) for x, want in pairs)
        # The gradient of the temperature is made from those of the anchors or of the candidates (see `finish`).
        if t is not None and a is None and (c is None or (problem.positives is not None and p is None)):
            a = torch.empty_like(problem.anchors)
        return cls(a, c, t, None if p is None else p.zero_(), tuple(None if x is None else x.zero_() for x in far))

    def finish(self, problem: Problem, sides: int = 1) -> None:
        """dL/dtau = -1/tau sum_ij G_ij x_ij, and sum_j G_ij x_ij = a_i . dL/da_i: no pass over S is needed.

        With 2 `sides` the gradient of the anchors is also that of the candidates, and each G_ij is in it twice.
        """
        if self.temperature is None:
            return
        if self.anchors is not None:
            inner = torch.vdot(self.anchors.flatten(), problem.anchors.flatten()) / sides
        else:
            assert self.candidates is not None
            inner = torch.vdot(self.candidates.flatten(), problem.candidates.flatten())
            if problem.positives is not None and self.positives is not None:
                inner = inner + torch.vdot(self.positives.flatten(), problem.positives.flatten())
        self.temperature.copy_(-inner / problem.temperature)

    def take(self, wanted: Sequence[bool]) -> tuple[Tensor | None, ...]:
        """Those that were `wanted`, in the order of `Problem.tensors`."""
        grads = (self.anchors, self.candidates, self.temperature, self.positives, *self.far)
        return tuple(grad if want else None for grad, want in zip(grads, wanted, strict=True))


class InOnePass(Function):
    """Loss and gradients by one walk in the forward pass; the backward pass multiplies what is there.

    Call as `apply(walk, problem, wanted, *problem.tensors())`. `walk(problem, gradients)` returns the loss, a number,
    and the weights of the rows, and fills in `gradients` if there are any.
    """

    @staticmethod
    def forward(ctx: Any, walk: Walk, problem: Problem, wanted: Sequence[bool], *tensors: Tensor | None):  # noqa: D102
        problem = problem.with_tensors(tensors)
        ctx.gradients = Gradients.blank(problem, wanted) if any(wanted) else None
        loss, weights = walk(problem, ctx.gradients)
        ctx.mark_non_differentiable(weights)
        ctx.walk, ctx.problem, ctx.wanted = walk, problem, wanted
        ctx.save_for_backward(*tensors)
        return loss, weights

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor):  # type: ignore[override] # noqa: D102
        if ctx.gradients is None:
            # A second backward pass. Autocast would lower its products.
            with torch.no_grad(), torch.autocast(upstream.device.type, enabled=False):
                gradients = Gradients.blank(ctx.problem, ctx.wanted)
                ctx.walk(ctx.problem, gradients)
        else:
            gradients, ctx.gradients = ctx.gradients, None
        with torch.no_grad():
            scaled = [g if g is None else g.mul_(upstream) for g in gradients.take(ctx.wanted)]
        return None, None, None, *first_order(ctx, scaled)


class _FirstOrderOnly(Function):
    """The identity; the gradient of that gradient is an error with a remedy."""

    @staticmethod
    def forward(ctx: FunctionCtx, gradient: Tensor, *_: Tensor) -> Tensor:
        return gradient.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, *_: Tensor):  # type: ignore[override]
        raise RuntimeError(
            "nearfar.contrast: the fast engines have no second derivative; "
            'pass engine="dense" to differentiate a gradient'
        )


def first_order(ctx: Any, gradients: Any) -> list[Tensor | None]:
    """The gradients as a backward pass returns them; differentiating them once more is an error."""
    if not torch.is_grad_enabled():
        return list(gradients)
    inputs = [x for x in ctx.saved_tensors if x is not None]
    return [g if g is None else _FirstOrderOnly.apply(g, *inputs) for g in gradients]
