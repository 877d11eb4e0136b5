"""Three ways to run candidates make the same choice and leave the same prefix."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from nearfar.decoding._candidates import OneByOne, Prefix, Repeated, Shared, way_for, why_not_shared
from nearfar.errors import InputError
from nearfar.models.language import load_language_model

IDS = torch.tensor([[7, 8, 9, 10], [0, 0, 11, 12]])
REAL = IDS > 0
CANDIDATES = torch.tensor([[[20, 21, 22], [30, 31, 32]], [[40, 41, 42], [50, 51, 52]]])


@pytest.fixture(scope="module")
def model(tiny_lm_folder: Path) -> Any:
    return load_language_model(tiny_lm_folder, "cpu")[0]


def choose(states: torch.Tensor) -> torch.Tensor:
    """Not the first, and not the same in both rows."""
    assert states.shape[:2] == (2, 3)
    return torch.tensor([2, 1])


@pytest.mark.parametrize("way", [Shared, Repeated, OneByOne])
def test_logits_are_those_of_the_whole_text(model: Any, way: type) -> None:
    cache = DynamicCache(config=model.config)
    positions = (REAL.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        model(input_ids=IDS, attention_mask=REAL.long(), position_ids=positions, past_key_values=cache)
        prefix = Prefix(model, cache, REAL, positions)
        for candidates in CANDIDATES:
            logits = way().step(prefix, candidates, choose)
        chosen = CANDIDATES[:, [0, 1], [2, 1]].T  # of both steps, for each row
        for row in range(2):
            alone = torch.cat([IDS[row][REAL[row]], chosen[row]])[None]
            torch.testing.assert_close(logits[row], model(input_ids=alone).logits[0, -1], atol=1e-4, rtol=1e-4)
    assert cache.get_seq_length() == prefix.real.shape[1] == 6


def test_the_way_follows_from_model_and_cache(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DynamicCache(config=model.config)
    assert isinstance(way_for(model, cache, False), Shared)
    assert isinstance(way_for(model, cache, True), OneByOne)
    window: Any = SimpleNamespace(layers=[object()], offloading=False)
    assert why_not_shared(model, window) is not None
    assert isinstance(way_for(model, window, False), Repeated)
    with pytest.raises(InputError, match=r"^low_memory: "):
        way_for(model, window, True)
    monkeypatch.setattr(type(model), "_supports_attention_backend", False)
    assert why_not_shared(model, cache) is not None
