"""What each process of the test does: the same run, with as many rows in a step."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any


def work(rank: int, processes: int, rows: str, model: str, folder: str, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    if processes > 1:
        dist.init_process_group("gloo", rank=rank, world_size=processes, timeout=timedelta(seconds=120))
    from nearfar.training.run import train

    options: dict[str, Any] = {"image_model": "small-vit", "image_size": 16, "hidden": 16, "dims": 8, "max_steps": 3}
    options |= {"batch_size": 8 // processes, "text_dropout": 0.0, "workers": 0, "pretrained_rate": 1.0}
    train("vlp_baselines", rows, model=model, out=Path(folder, f"run-{processes}"), **options)
    if processes > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6], int(sys.argv[6]))
