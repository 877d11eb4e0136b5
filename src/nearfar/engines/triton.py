"""The engine for GPUs: streaming's walk with fused kernels, and attention-like tiles for narrow vectors."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function

from nearfar.blocks import DiagonalTargets
from nearfar.engines.gradients import Gradients, first_order
from nearfar.engines.problem import Engine, Problem, Reduction
from nearfar.engines.streaming import Streaming
from nearfar.errors import InputError

try:
    import triton

    from nearfar.engines import triton_tiles
    from nearfar.engines.triton_softmax import FusedSoftmax
except ModuleNotFoundError as error:
    raise ImportError('engine="triton" requires the package triton; pip install "nearfar[triton]"') from error

#: Maximum width of vectors for which tiles are chosen automatically.
TILES_WIDTH = 128


class Triton(Engine):
    """O((n + m) d) memory; first derivatives only. Works with every builder; two ways to the same numbers:

    *Panels* walk over blocks of rows as `Streaming` does: the library's matrix products, and one fused kernel where
    torch would visit the block six to ten times. Builders write their F and P into the block.

    *Tiles* keep x on the chip, as attention does, and recompute it for each gradient: five products where panels need
    three, but no traffic. They support P that is a diagonal with no F or `far.except_self()`.

    The traffic that a tile saves does not grow with d, but its cost, two more products, does. So panels are the better
    choice beyond the width of an attention head, where products run without tensor cores (float64; float32 unless
    `torch.set_float32_matmul_precision("high")`), and for the symmetric loss, where they need four products and tiles
    ten.

    Args:
        path: `"auto"` chooses by these rules; the others force one way.
        block_rows: Rows in a panel; None chooses by size.
        tile: Rows and columns of a tile, a power of two from 16; None chooses.
        softmax: The fused kernels of the panels.

    Raises:
        InputError: tensors that are not on a CUDA device, `path="tiles"` with builders that tiles do not support, or an
            invalid argument.
    """

    def __init__(
        self,
        path: Literal["auto", "panels", "tiles"] = "auto",
        block_rows: int | None = None,
        tile: int | None = None,
        softmax: FusedSoftmax = FusedSoftmax(),  # noqa: B008 - no state
    ) -> None:
        if path not in ("auto", "panels", "tiles"):
            raise InputError(f"invalid path: {path!r}", remedy='use "auto", "panels" or "tiles"')
        if tile is not None and (tile < 16 or tile & (tile - 1)):
            raise InputError(f"invalid tile: must be a power of two from 16, got {tile}")
        self.path, self.tile, self.panels = path, tile, Streaming(block_rows, softmax)

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`."""
        if not self._takes_tiles(problem):
            return self.panels.rows(problem)
        return _Tiles.apply(problem, self, *problem.tensors())  # type: ignore[return-value]

    def total(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.total`."""
        return super().total(problem) if self._takes_tiles(problem) else self.panels.total(problem)

    def both_ways(self, problem: Problem, reduction: Reduction) -> Tensor:
        """See `Engine.both_ways`."""
        if self.path == "tiles":
            return super().both_ways(problem, reduction)
        _check_device(problem)
        return self.panels.both_ways(problem, reduction)

    def _takes_tiles(self, problem: Problem) -> bool:
        _check_device(problem)
        narrow = problem.anchors.shape[1] <= TILES_WIDTH and _precision(problem.anchors) == "tf32"
        if self.path == "panels" or (self.path == "auto" and not narrow):
            return False
        index_work = problem.far is None or problem.far.removed_diagonal() is not None
        possible = index_work and isinstance(problem.near.at(slice(0, 1)), DiagonalTargets)
        if self.path == "tiles" and not possible:
            raise InputError(
                'path="tiles" supports near.paired() with far=None or far.except_self() only', remedy='use path="auto"'
            )
        return possible


class _Tiles(Function):
    @staticmethod
    def forward(ctx: Any, problem: Problem, engine: Triton, a: Tensor, c: Tensor, t: Tensor, p: Tensor | None):
        problem = problem.with_tensors((a.contiguous(), c.contiguous(), t, p))
        targets = problem.near.at(slice(0, len(a)))
        weights = targets.row_sums()
        numerator = torch.linalg.vecdot(a, targets.matmul(c if p is None else p)) / t
        options = (_precision(a), engine.tile)
        logz = triton_tiles.logsumexps(problem.anchors, problem.candidates, t, _removed(problem), *options)
        ctx.problem, ctx.options = problem, options
        ctx.save_for_backward(a, c, t, p, logz)
        ctx.mark_non_differentiable(weights)
        return torch.where(weights > 0, weights * logz - numerator, 0), weights

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor):  # type: ignore[override]
        # A backward pass inside an autocast region would lower the products here.
        with torch.no_grad(), torch.autocast(upstream.device.type, enabled=False):
            a, c, t, p, logz = ctx.saved_tensors
            problem, wanted = ctx.problem.with_tensors((a.contiguous(), c.contiguous(), t, p)), ctx.needs_input_grad[2:]
            gradients = Gradients.blank(problem, wanted)
            _backward(problem, gradients, logz, upstream, ctx.options)
            gradients.finish(problem)
        return None, None, *first_order(ctx, gradients.take(wanted))


def _backward(problem: Problem, gradients: Gradients, logz: Tensor, upstream: Tensor, options: Any) -> None:
    a, c, t, p = problem.anchors, problem.candidates, problem.temperature, problem.positives
    targets = problem.near.at(slice(0, len(a)))
    weights, removed = targets.row_sums(), _removed(problem)
    alive = (weights > 0) & torch.isfinite(logz)
    scale = torch.where(alive, weights * upstream / t, 0)
    logz = torch.where(alive, logz, torch.inf)
    # The part of the numerator is index work: P never enters a kernel.
    up = torch.where(weights > 0, upstream / t, 0)[:, None]
    if gradients.anchors is not None:
        triton_tiles.gradient(gradients.anchors, a, c, t, logz, scale, removed, True, *options)
        gradients.anchors -= up * targets.matmul(c if p is None else p)
    if gradients.candidates is not None:
        triton_tiles.gradient(gradients.candidates, c, a, t, logz, scale, removed, False, *options)
        if p is None:
            targets.scatter_add(-up * a, gradients.candidates)
    if gradients.positives is not None:
        targets.scatter_add(-up * a, gradients.positives)


def _removed(problem: Problem) -> tuple[int, int]:
    removed = (0, 0) if problem.far is None else problem.far.removed_diagonal()
    assert removed is not None
    return removed


def _precision(x: Tensor) -> str:
    """The precision of torch's own products."""
    plain = x.dtype == torch.float64 or torch.get_float32_matmul_precision() == "highest"
    return "ieee" if plain else "tf32"


def _check_device(problem: Problem) -> None:
    device = problem.anchors.device
    # Under Triton's interpreter (TRITON_INTERPRET=1) kernels are plain functions and run anywhere.
    if device.type != "cuda" and isinstance(triton_tiles._logsumexp, triton.JITFunction):
        raise InputError(
            f'engine="triton" runs on CUDA devices, but the anchors are on {device}', remedy='use engine="streaming"'
        )
