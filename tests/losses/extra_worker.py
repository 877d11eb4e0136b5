"""What each process of the test does: value and gradients of ContrastLoss with extra candidates, over processes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file

#: Rows of each process, and extra candidates: one has none.
ROWS, EXTRA, WIDTH = (4, 2), (3, 0), 5


class Noise(torch.nn.Module):
    """Extra candidates that are trained, beside mixtures of the anchors."""

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra
        self.shift = torch.nn.Parameter(torch.linspace(-1, 1, WIDTH, dtype=torch.float64))

    def forward(self, batch):
        return batch.anchors[: self.extra] + self.shift


def outcome(rows: slice, extra: int, processes: int, labelled: bool) -> dict[str, torch.Tensor]:
    """The loss, and the gradients of the encoder and of the noise."""
    from nearfar.losses import ContrastLoss

    torch.manual_seed(5)
    columns = torch.randn(2, sum(ROWS), WIDTH, dtype=torch.float64)
    labels = torch.arange(sum(ROWS)) % 3
    encoder = torch.nn.Linear(WIDTH, WIDTH, bias=False, dtype=torch.float64)
    noise = Noise(extra)
    loss = ContrastLoss(encoder, symmetric=True, extra=noise, gather_across_devices=processes > 1)  # type: ignore[arg-type]
    vectors = [encoder(column[rows]) for column in columns[: 1 if labelled else 2]]
    value = loss.loss_of_vectors(vectors, labels[rows] if labelled else None, None, 0.3)
    value.backward()
    assert encoder.weight.grad is not None
    assert noise.shift.grad is not None
    if processes > 1:
        dist.all_reduce(encoder.weight.grad)
        encoder.weight.grad /= processes
    return {"loss": value.detach()[None], "encoder": encoder.weight.grad, "noise": noise.shift.grad}


def work(rank: int, processes: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=processes, timeout=timedelta(seconds=60))
    start = sum(ROWS[:rank])
    rows = slice(start, start + ROWS[rank])
    for labelled in (False, True):
        found = outcome(rows, EXTRA[rank], processes, labelled)
        save_file(found, Path(folder, f"rank{rank}-{labelled}.safetensors"))
    dist.destroy_process_group()
