"""What the fast engines share: where gradients accumulate, and how they reach autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from nearfar.engines.problem import Problem


def tensors(problem: Problem) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """What autograd may ask a gradient of: anchors, candidates, temperature, positives."""
    return problem.anchors, problem.candidates, problem.temperature, problem.positives


def with_tensors(problem: Problem, a: Tensor, c: Tensor, t: Tensor, p: Tensor | None) -> Problem:
    """The same problem around other tensors, in the order of `tensors`."""
    return replace(problem, anchors=a, candidates=c, temperature=t, positives=p)


def wants(problem: Problem) -> tuple[bool, ...]:
    """Which of `tensors` ask for a gradient."""
    return tuple(torch.is_grad_enabled() and x is not None and x.requires_grad for x in tensors(problem))


@dataclass
class Gradients:
    """Where gradients accumulate; None where nobody asked."""

    anchors: Tensor | None
    candidates: Tensor | None
    temperature: Tensor | None
    positives: Tensor | None

    @classmethod
    def blank(cls, problem: Problem, wanted: tuple[bool, ...]) -> Gradients:
        """Room for what is `wanted`, and for what the temperature's gradient is made from.

        Only the positives' is zero: that of every anchor is written once, and a first block overwrites the candidates'.
        """
        pairs = zip(tensors(problem), wanted, strict=True)
        a, c, t, p = (None if x is None or not want else torch.empty_like(x) for x, want in pairs)
        # The temperature's gradient falls out of the anchors' or of the candidates' (see `finish`).
        if t is not None and a is None and (c is None or (problem.positives is not None and p is None)):
            a = torch.empty_like(problem.anchors)
        return cls(a, c, t, None if p is None else p.zero_())

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
        """Those that were `wanted`, in the order of `tensors`."""
        grads = (self.anchors, self.candidates, self.temperature, self.positives)
        return tuple(grad if want else None for grad, want in zip(grads, wanted, strict=True))


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


def hand_out(ctx: Any, upstream: Tensor, again: Callable[[], Gradients], wanted: tuple[bool, ...]) -> Any:
    """The gradients of a forward pass times `upstream`, without a copy: a second backward pass makes them `again`."""
    if ctx.gradients is None:
        with torch.no_grad(), torch.autocast(upstream.device.type, enabled=False):
            gradients = again()
    else:
        gradients, ctx.gradients = ctx.gradients, None
    with torch.no_grad():
        scaled = [g if g is None else g.mul_(upstream) for g in gradients.take(wanted)]
    return first_order(ctx, scaled)


def first_order(ctx: Any, gradients: Any) -> list[Tensor | None]:
    """The gradients as a backward pass returns them: differentiating them once more is an error that says so."""
    if not torch.is_grad_enabled():
        return list(gradients)
    inputs = [x for x in ctx.saved_tensors if x is not None]
    return [g if g is None else _FirstOrderOnly.apply(g, *inputs) for g in gradients]
