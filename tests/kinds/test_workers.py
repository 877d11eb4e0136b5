"""Errors of processes that load batches, as a user reads them."""

from __future__ import annotations

import pytest
from torch.utils.data import DataLoader, Dataset

from nearfar.errors import InputError
from nearfar.kinds._workers import of_worker


class Broken(Dataset):
    def __getitem__(self, number: int) -> int:
        raise InputError("is a corrupted image", file="a.png", remedy="fix it")

    def __len__(self) -> int:
        return 4


def test_an_input_error_is_the_one_that_was_raised() -> None:
    with pytest.raises(InputError) as caught:
        next(iter(DataLoader(Broken(), num_workers=1)))
    found = of_worker(caught.value)
    assert str(found) == "a.png: is a corrupted image; fix it"


def test_too_little_shared_memory_has_a_remedy() -> None:
    said = (
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
        "shared memory. Please try to raise your shared memory limit."
    )
    found = of_worker(RuntimeError(said))
    assert found is not None
    assert found.field == "workers"


def test_other_errors_stay() -> None:
    assert of_worker(InputError("is a corrupted image")) is None
    assert of_worker(RuntimeError("out of memory")) is None
