"""The engine for GPUs: streaming's walk with fused kernels between the matrix products."""

from __future__ import annotations

from torch import Tensor

from nearfar.engines.problem import Problem, Reduction
from nearfar.engines.streaming import Streaming
from nearfar.errors import InputError

try:
    import triton

    from nearfar.engines import triton_softmax
    from nearfar.engines.triton_softmax import FusedSoftmax
except ModuleNotFoundError as error:
    raise ImportError('engine="triton" requires the package triton; pip install "nearfar[triton]"') from error


class Triton(Streaming):
    """`Streaming` on a GPU: the library's matrix products, and one kernel where torch would visit a block many times.

    O((n + m) d) memory; first derivatives only. Works with every builder. Products use tensor cores after
    `torch.set_float32_matmul_precision("high")`, which is not torch's default.

    Args:
        block_rows: Rows in a block; None chooses by size and device.
        softmax: The fused kernels.

    Raises:
        InputError: tensors that are not on a CUDA device.
    """

    # Attention-like tiles, which recompute S instead of writing it, were tried on an H200: at d = 128, where they are
    # at their best, they took 1.5 to 3 times as long as blocks and their products by cuBLAS.

    def __init__(self, block_rows: int | None = None, softmax: FusedSoftmax = FusedSoftmax()) -> None:  # noqa: B008 - no state
        super().__init__(block_rows, softmax)

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`."""
        _check_device(problem)
        return super().rows(problem)

    def total(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.total`."""
        _check_device(problem)
        return super().total(problem)

    def both_ways(self, problem: Problem, reduction: Reduction) -> Tensor:
        """See `Engine.both_ways`."""
        _check_device(problem)
        return super().both_ways(problem, reduction)


def _check_device(problem: Problem) -> None:
    device = problem.anchors.device
    # Under Triton's interpreter (TRITON_INTERPRET=1) kernels are plain functions and run anywhere.
    if device.type != "cuda" and isinstance(triton_softmax._exponentiate, triton.JITFunction):
        raise InputError(
            f'engine="triton" runs on CUDA devices, but the anchors are on {device}', remedy='use engine="streaming"'
        )
