"""What each process of the sharded tests does: every case against one process; the worst differences go to a file."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from cases import World, contrast_of
from torch import Tensor

from nearfar import contrast, near

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
    "supcon": ("same_label_self", "self", {"extra": False}),
    "supcon symmetric": ("same_label_self", "self", {"symmetric": True, "extra": False}),
    "supcon extra": ("same_label_self", "self", {}),
    "supcon extra symmetric": ("same_label_self", "self", {"symmetric": True}),
    "smoothed": ("smoothed paired", "none", {}),
    "smoothed symmetric": ("smoothed same_label", "none", {"symmetric": True}),
    "columns": ("paired", "columns", {}),
    "columns rows symmetric": ("same_label", "columns", {"symmetric": True}),
    "unjudged": ("paired", "unjudged", {}),
    "unjudged symmetric": ("paired", "unjudged", {"symmetric": True}),
    "distance": ("paired", "distance", {}),
    "distance rows dense": ("paired", "distance", {"reduction": "none", "engine": "dense"}),
    "distance symmetric": ("same_label", "distance", {"symmetric": True}),
    "distance hardest": ("paired", "columns+distance+hardest", {}),
    "half": ("half", "none", {}),
    "half symmetric": ("half", "none", {"symmetric": True}),
    "overlap": ("overlap", "none", {}),
    "overlap symmetric": ("overlap", "none", {"symmetric": True}),
    "overlap self": ("overlap_self", "self", {"extra": False}),
    "overlap self extra symmetric": ("overlap_self", "self", {"symmetric": True}),
    "label": ("paired", "label", {}),
    "label symmetric": ("same_label", "label", {"symmetric": True}),
    "weights masked": ("weights", "masked", {}),
    "weights weighted rows": ("weights", "weighted", {"reduction": "none"}),
    "float32": ("paired", "none", {"dtype": torch.float32}),
}
#: Anchors and extra candidates of each process; one of them has no extra.
ANCHORS, EXTRA = (4, 1, 3), (2, 5, 0)


class Split:
    """The global batch and this process's part of it."""

    def __init__(self, rank: int, processes: int, with_extra: bool) -> None:
        self.n = sum(ANCHORS[:processes])
        extra = list(EXTRA[:processes]) if with_extra else [0] * processes
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
        mine.sets_a, mine.items_a = whole.sets_a[self.rows], whole.items_a[self.rows]
        mine.sets_b, mine.items_b = whole.sets_b[self.columns], whole.items_b[self.columns]
        mine.labels_b, mine.guide_b = whole.labels_b[self.columns], whole.guide_b[self.columns]
        mine.second_a, mine.second_b = whole.second_a[self.rows], whole.second_b[self.columns]
        mine.w_column = whole.w_column[self.columns]
        return mine


def outcome(world: World, near_: str, far_: str, up: Tensor, group: Any, **options: Any) -> dict[str, Tensor]:
    dtype = options.pop("dtype", torch.float64)
    leaves = {"anchors": world.anchors, "candidates": world.candidates, "temperature": torch.tensor(0.3)}
    if options.pop("positives", False):
        leaves["positives"] = world.positives
    if "distance" in far_:
        leaves |= {"second_a": world.second_a, "second_b": world.second_b}
    leaves = {name: x.detach().to(dtype, copy=True).requires_grad_() for name, x in leaves.items()}
    loss = contrast_of(world, near_, far_, leaves, group=group, **options)
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
    if "second_a" in whole:
        expected |= {"second_a": whole["second_a"][split.rows], "second_b": whole["second_b"][split.columns]}
    assert mine.keys() == expected.keys()
    return {k: float((mine[k] - expected[k]).abs().max() / whole[k].abs().max()) for k in mine}


def error_of(**arguments: Any) -> str:
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
    result: dict[str, Any] = {"cases": {}, "errors": {}}
    for name, (near_, far_, options) in CASES.items():
        split = Split(rank, processes, options.get("extra", True))
        options = {key: value for key, value in options.items() if key != "extra"}
        result["cases"][name] = differences(split, near_, far_, options)

    mine = torch.randn(3, 2)
    poisoned = mine.clone()
    if rank == 1:
        poisoned[2, 0] = float("nan")
    result["errors"] = {
        "nan elsewhere": error_of(anchors=poisoned, candidates=mine, near=near.paired()),
        "no positive": error_of(
            anchors=mine, candidates=mine, near=near.same_label([3 * rank, 3 * rank + 1, 3 * rank + 2])
        ),
        "too few": error_of(anchors=mine, candidates=mine[: 3 - rank]),
        "weights": error_of(anchors=poisoned, candidates=mine, near=near.weights(torch.ones(3, 3 * processes))),
        "labels": error_of(anchors=mine, candidates=mine, near=near.same_label([0, 0, 1], [0, 1])),
    }
    result["in order"] = [float(contrast(mine, mine[:, [1, 0]], near.paired(), group=dist.group.WORLD))]
    Path(folder, f"rank{rank}.json").write_text(json.dumps(result))
    dist.destroy_process_group()
