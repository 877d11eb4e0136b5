"""What each process of the test does: value and gradient of the continual losses, averaged over processes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file

#: Rows of each process. The second process has no new item, and the only other item of label 0.
ROWS, WIDTH = (3, 2), 4
LABELS, REHEARSAL = (0, 1, 2, 0, 1), (True, False, False, True, True)
KINDS: dict[str, dict[str, Any]] = {
    "nspt": {},
    "ntpt": {"negatives": "teacher"},
    "others": {"own_teacher": False, "self_in_denominator": False},
    "sum": {"reduction": "sum"},
}


def outcome(rows: slice, processes: int, kind: str) -> torch.Tensor:
    """The loss, then the gradient's numbers."""
    from nearfar.losses import ContinualLoss, new_items_contrast, rehearsal_contrast

    torch.manual_seed(5)
    inputs, teacher, texts = torch.randn(3, sum(ROWS), WIDTH, dtype=torch.float64)
    encoder = torch.nn.Linear(WIDTH, WIDTH, bias=False, dtype=torch.float64)
    labels, rehearsal = torch.tensor(LABELS)[rows], torch.tensor(REHEARSAL)[rows]
    items, group = encoder(inputs[rows]), dist.group.WORLD if processes > 1 else None
    if kind == "mm":
        value = new_items_contrast(items, encoder(texts[rows]), labels, ~rehearsal, 0.3, group=group)
    else:
        value = rehearsal_contrast(items, teacher[rows], labels, rehearsal, 0.3, group=group, **KINDS[kind])
    value = ContinualLoss._over(value, processes)
    value.backward()
    assert encoder.weight.grad is not None
    found = encoder.weight.grad
    if processes > 1:
        dist.all_reduce(found)
        found /= processes
    return torch.cat([value.detach()[None], found.flatten()])


def work(rank: int, processes: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=processes, timeout=timedelta(seconds=60))
    start = sum(ROWS[:rank])
    rows = slice(start, start + ROWS[rank])
    found = {kind: outcome(rows, processes, kind) for kind in (*KINDS, "mm")}
    save_file(found, Path(folder, f"rank{rank}.safetensors"))
    dist.destroy_process_group()
