"""What each process of the test does: the parameters' gradient of MultiPositiveLoss, averaged over processes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file

POSITIVES, NEGATIVES, ROWS, WIDTH = 2, 1, 6, 4


def gradient(rows: slice, processes: int) -> torch.Tensor:
    from nearfar.losses.graded import MultiPositiveLoss

    torch.manual_seed(5)
    texts = torch.randn(1 + POSITIVES + NEGATIVES, ROWS, WIDTH, dtype=torch.float64)
    encoder = torch.nn.Linear(WIDTH, WIDTH, bias=False, dtype=torch.float64)
    loss = MultiPositiveLoss(encoder, POSITIVES, temperature=0.3, gather_across_devices=processes > 1)  # type: ignore[arg-type]
    loss.loss_of_vectors([encoder(column[rows]) for column in texts], None, None, 0.3).backward()
    assert encoder.weight.grad is not None
    found = encoder.weight.grad
    if processes > 1:
        dist.all_reduce(found)
        found /= processes
    return found


def work(rank: int, processes: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=processes, timeout=timedelta(seconds=60))
    each = ROWS // processes
    found = gradient(slice(rank * each, (rank + 1) * each), processes)
    alone = gradient(slice(rank * each, (rank + 1) * each), 1)
    save_file({"shared": found, "alone": alone}, Path(folder, f"rank{rank}.safetensors"))
    dist.destroy_process_group()
