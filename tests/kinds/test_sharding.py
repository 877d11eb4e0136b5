"""Weights that are divided among processes are noticed before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

from nearfar.errors import InputError
from nearfar.kinds._sharding import WholeWeights, is_sharded


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))


def test_whole_weights_pass() -> None:
    assert not is_sharded(model())
    WholeWeights().on_train_begin(None, None, None, model=model())


@pytest.mark.usefixtures("one_process")
def test_fsdp_is_noticed_in_both_versions() -> None:
    second = model()
    fully_shard(second[0], mesh=init_device_mesh("cpu", (1,)))  # type: ignore[index]
    assert is_sharded(second)
    assert is_sharded(nn.Sequential(FullyShardedDataParallel(model(), device_id=torch.device("cpu"))))


def test_zero_stage_3_is_refused() -> None:
    sharded = model()
    for weight in sharded.parameters():
        weight.ds_tensor, weight.data = weight.data[:1], torch.empty(0)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="the weights would be sharded"):
        WholeWeights().on_train_begin(None, None, None, model=sharded)
