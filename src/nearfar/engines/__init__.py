"""Ways to compute the same loss: `dense` (the reference), `streaming`, `triton` for GPUs, `sharded` over processes."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Literal

from nearfar.engines.dense import Dense
from nearfar.engines.problem import Engine, Problem, reduced
from nearfar.engines.sharded import Sharded
from nearfar.engines.streaming import Streaming

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

__all__ = ["Dense", "Engine", "EngineName", "Problem", "Sharded", "Streaming", "choose", "reduced"]

EngineName = Literal["auto", "dense", "streaming", "triton"]


def choose(engine: str | Engine, problem: Problem, group: ProcessGroup | None) -> Engine:
    """The engine of that name, or the fastest one for this device; over the processes of `group` if there is one."""
    runner = engine if isinstance(engine, Engine) else _named(engine, problem)
    return runner if group is None else Sharded(runner, group)


def _named(name: str, problem: Problem) -> Engine:
    if name == "auto":
        on_gpu = problem.anchors.is_cuda and importlib.util.find_spec("triton") is not None
        name = "triton" if on_gpu else "streaming"
    if name == "dense":
        return Dense()
    if name == "streaming":
        return Streaming()
    if name == "triton":
        from nearfar.engines.triton import Triton

        return Triton()
    raise ValueError(f'invalid engine: must be "auto", "dense", "streaming" or "triton", got {name!r}')
