"""Retrieval's columns are those of all processes, and gradients find their way back."""

from __future__ import annotations

from pathlib import Path

import codiemb_worker
import pytest
import torch
import torch.multiprocessing
from safetensors.torch import load_file


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path: Path):
    torch.multiprocessing.spawn(codiemb_worker.work, args=(2, str(tmp_path)), nprocs=2)
    whole = codiemb_worker.gradient(slice(None), 1)
    found = [load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2)]
    for each in found:
        assert float((each["shared"] - whole).abs().max()) < 1e-12
    alone = (found[0]["alone"] + found[1]["alone"]) / 2
    assert float((alone - whole).abs().max()) > 1e-3, "negatives of the other process count"
