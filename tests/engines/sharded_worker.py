"""What each process of the sharded tests does: every case against one process; the worst differences go to a file."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from cases import World
from torch import Tensor

from nearfar import contrast, far, near

#: name: (near, far, options). `weights`, `masked` and `weighted` are given as this process's rows of the whole matrix.
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "paired": ("paired", "none", {}),
    "paired sum dot": ("paired", "none", {"reduction": "sum", "similarity": "dot"}),
    "paired rows": ("paired", "none", {"reduction": "none"}),
    "paired symmetric": ("paired", "none", {"symmetric": True}),
    "paired dense": ("paired", "none", {"engine": "dense"}),
    "paired positives": ("paired", "none", {"positives": True}),
    "paired decoupled": ("paired", "self", {}),
    "paired guided": ("paired", "positive", {}),
    "paired guided symmetric": ("paired", "positive", {"symmetric": True}),
    "paired threshold harder": ("paired", "threshold+harder", {"symmetric": True}),
    "paired hardest": ("paired", "hardest", {}),
    "paired hardest symmetric": ("paired", "hardest", {"symmetric": True}),
    "same_label": ("same_label", "none", {}),
    "same_label rows": ("same_label", "harder", {"reduction": "none"}),
    "same_label symmetric": ("same_label", "threshold", {"symmetric": True}),
    "same_label positives": ("same_label", "none", {"positives": True}),
    "supcon": ("same_label_self", "self", {}),
    "supcon symmetric": ("same_label_self", "self", {"symmetric": True}),
    "half": ("half", "none", {}),
    "half symmetric": ("half", "none", {"symmetric": True}),
    "weights masked": ("weights", "masked", {}),
    "weights weighted rows": ("weights", "weighted", {"reduction": "none"}),
    "float32": ("paired", "none", {"dtype": torch.float32}),
}
#: Anchors and extra candidates of each process; one of them has no extra.
ANCHORS, EXTRA = (4, 1, 3), (2, 5, 0)


class Split:
    """The global batch and this process's part of it."""

    def __init__(self, rank: int, processes: int, alone: bool) -> None:
        self.n = sum(ANCHORS[:processes])
        extra = [0] * processes if alone else list(EXTRA[:processes])
        self.world = World(self.n, self.n + sum(extra), 4, seed=7)
        start, size = sum(ANCHORS[:rank]), ANCHORS[rank]
        self.rows = slice(start, start + size)
        first_extra = self.n + sum(extra[:rank])
        self.columns = [*range(start, start + size), *range(first_extra, first_extra + extra[rank])]

    def part(self) -> World:
        """The rows of this process's anchors and of its candidates; n x m matrices keep all columns."""
        whole, mine = self.world, World(1, 1, 1)
        mine.anchors, mine.labels_a, mine.guide_a = (
            x[self.rows] for x in (whole.anchors, whole.labels_a, whole.guide_a)
        )
        mine.p, mine.mask, mine.w = (x[self.rows] for x in (whole.p, whole.mask, whole.w))
        mine.candidates, mine.positives = whole.candidates[self.columns], whole.positives[self.columns]
        mine.labels_b, mine.guide_b = whole.labels_b[self.columns], whole.guide_b[self.columns]
        return mine


def built_far(world: World, name: str) -> far.Far | None:
    if name == "threshold+harder":
        return world.far("threshold") + world.far("harder")  # type: ignore[operator]
    return world.far(name)


def outcome(world: World, near_: str, far_: str, up: Tensor, group: Any, **options: Any) -> dict[str, Tensor]:
    dtype = options.pop("dtype", torch.float64)
    leaves = {"anchors": world.anchors, "candidates": world.candidates, "temperature": torch.tensor(0.3)}
    if options.pop("positives", False):
        leaves["positives"] = world.positives
    leaves = {name: x.detach().to(dtype, copy=True).requires_grad_() for name, x in leaves.items()}
    loss = contrast(**leaves, near=world.near(near_), far=built_far(world, far_), group=group, **options)  # type: ignore[arg-type]
    (loss if loss.ndim == 0 else (loss * up).sum()).backward()
    return {"loss": loss.detach(), **{name: x.grad for name, x in leaves.items() if x.grad is not None}}


def differences(split: Split, near_: str, far_: str, options: dict[str, Any]) -> dict[str, float]:
    up = torch.arange(1, split.n + 1)
    whole = outcome(split.world, near_, far_, up, None, **options)
    mine = outcome(split.part(), near_, far_, up[split.rows], dist.group.WORLD, **options)
    expected = {
        "loss": whole["loss"] if whole["loss"].ndim == 0 else whole["loss"][split.rows],
        "anchors": whole["anchors"][split.rows],
        "candidates": whole["candidates"][split.columns],
        "temperature": whole["temperature"],
    }
    if "positives" in whole:
        expected["positives"] = whole["positives"][split.columns]
    assert mine.keys() == expected.keys()
    return {k: float((mine[k] - expected[k]).abs().max() / whole[k].abs().max()) for k in mine}


def complaint(**arguments: Any) -> str:
    """The error of a call; every process must get one, or those that do not would wait for ever."""
    try:
        contrast(group=dist.group.WORLD, **arguments)
    except ValueError as error:
        return str(error)
    return "no error"


def work(rank: int, processes: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=processes,
        timeout=timedelta(seconds=60),
    )
    result: dict[str, Any] = {"cases": {}, "complaints": {}}
    for name, (near_, far_, options) in CASES.items():
        result["cases"][name] = differences(Split(rank, processes, near_ == "same_label_self"), near_, far_, options)

    mine = torch.randn(3, 2)
    poisoned = mine.clone()
    if rank == 1:
        poisoned[2, 0] = float("nan")
    result["complaints"] = {
        "nan elsewhere": complaint(anchors=poisoned, candidates=mine, near=near.paired()),
        "no positive": complaint(
            anchors=mine, candidates=mine, near=near.same_label([3 * rank, 3 * rank + 1, 3 * rank + 2])
        ),
        "too few": complaint(anchors=mine, candidates=mine[: 3 - rank]),
        "weights": complaint(anchors=poisoned, candidates=mine, near=near.weights(torch.ones(3, 3 * processes))),
        "labels": complaint(anchors=mine, candidates=mine, near=near.same_label([0, 0, 1], [0, 1])),
    }
    result["in order"] = [float(contrast(mine, mine[:, [1, 0]], near.paired(), group=dist.group.WORLD))]
    Path(folder, f"rank{rank}.json").write_text(json.dumps(result))
    dist.destroy_process_group()
