from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.generation.local import LocalModel


@pytest.fixture(scope="module")
def lm(tiny_lm_folder: Path) -> LocalModel:
    return LocalModel(tiny_lm_folder, batch_size=3, device="cpu")
