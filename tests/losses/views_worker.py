"""What each process of the test does: value and gradients of ViewsLoss with small towers, averaged over processes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Router
from sentence_transformers.sentence_transformer.modules import Normalize

from nearfar.losses.non_contrastive import term_of
from nearfar.losses.views import ViewsLoss
from nearfar.models.towers.heads import add_heads

#: Rows of each process: different numbers.
ROWS, WIDTH, VIEWS = (5, 3), 4, 2
EXTRAS = ("none", "siam", "byol", "barlow", "swav")


def two_layers() -> SentenceTransformer:
    """A model whose towers are a layer each, for vectors as inputs, with small heads."""
    torch.manual_seed(0)
    towers: dict[str, list[Any]] = {name: [Dense(WIDTH, WIDTH)] for name in ("image", "text")}
    model = SentenceTransformer(modules=[Router(towers, default_route="text"), Normalize()], device="cpu")
    add_heads(model, dims=3, hidden=6)
    return model.double().train()


def loss_of(extra: Any, scale: float = 1.0) -> ViewsLoss:
    model = two_layers()
    heads: Any = model[1]
    term = term_of(extra, model, heads, 5)
    smoothing = 0.0 if extra == "swav" else 0.1
    return ViewsLoss(model, smoothing=smoothing, scale=scale, term=term).double()


def outcome(rows: slice, processes: int, extra: str, scale: float = 1.0) -> dict[str, torch.Tensor]:
    """The loss and the gradient of each parameter; those of the towers are averaged as the trainer does."""
    loss = loss_of(extra, scale)
    inputs = torch.randn(2, 1 + VIEWS, sum(ROWS), WIDTH, dtype=torch.float64)
    columns = [
        {"sentence_embedding": view[rows], "task": task}
        for task, side in zip(("image", "text"), inputs, strict=True)
        for view in side
    ]
    value = loss(columns)
    value.backward()
    found = {"loss": value.detach()[None]}
    for name, weight in loss.named_parameters():
        if weight.grad is None:
            continue
        if processes > 1 and name.startswith("model."):
            dist.all_reduce(weight.grad)
            weight.grad /= processes
        found[name] = weight.grad
    return found


def work(rank: int, processes: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=processes, timeout=timedelta(seconds=60))
    start = sum(ROWS[:rank])
    rows = slice(start, start + ROWS[rank])
    found = {f"{extra} {name}": value for extra in EXTRAS for name, value in outcome(rows, processes, extra).items()}
    save_file(found, Path(folder, f"rank{rank}.safetensors"))
    dist.destroy_process_group()
