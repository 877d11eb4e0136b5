"""What each process of the test does: value and parameters' gradient of HypersphereLoss, averaged over processes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file

#: Rows of each process: different numbers, and one that has no pair of its own.
ROWS, WIDTH = (4, 1), 5


def outcome(rows: slice, processes: int, self_pairs: bool) -> torch.Tensor:
    """The loss, then the gradient's numbers."""
    from nearfar.losses import HypersphereLoss, HypersphereWeights

    torch.manual_seed(5)
    columns = torch.randn(2, sum(ROWS), WIDTH, dtype=torch.float64)
    encoder = torch.nn.Linear(WIDTH, WIDTH, bias=False, dtype=torch.float64)
    weights = HypersphereWeights(0.7, 1.3, 0.4, self_pairs=self_pairs)
    loss = HypersphereLoss(
        encoder,  # type: ignore[arg-type]
        weights,
        temperature=0.3,
        symmetric=True,
        gather_across_devices=processes > 1,
    )
    value = loss.loss_of_vectors([encoder(column[rows]) for column in columns], None, None, 0.3)
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
    found = {f"shared {kind}": outcome(rows, processes, kind) for kind in (False, True)}
    save_file(found, Path(folder, f"rank{rank}.safetensors"))
    dist.destroy_process_group()
