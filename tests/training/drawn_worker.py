"""What each of two processes does: a run on rows that share texts, or with labels of unequal numbers."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any


def work(rank: int, processes: int, folder: str, model: str, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=processes, timeout=timedelta(seconds=120))
    from nearfar.training.run import train

    seen: list[tuple[int, int]] = []

    def progress(step: int, of: int, loss: float | None) -> None:
        seen.append((step, of))

    for name in ("shared", "labels"):
        out = Path(folder, f"run-{name}")
        options: dict[str, Any] = {"epochs": 2, "batch_size": 8, "max_length": 16, "progress": progress}
        train("infonce", f"{folder}/{name}.jsonl", model=model, out=out, **options)
        assert rank or seen[-1][0] == seen[-1][1]
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    work(*map(int, sys.argv[1:3]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
