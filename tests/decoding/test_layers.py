from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nearfar.decoding import isotropy
from nearfar.decoding.layers import cosines_and_pairs
from nearfar.errors import InputError
from nearfar.models.language import load_language_model


def measured(states: torch.Tensor, real: torch.Tensor | None = None) -> float:
    states = states if states.dim() == 3 else states[None]
    real = torch.ones(states.shape[:2], dtype=torch.bool) if real is None else real
    cosines, pairs = cosines_and_pairs(states, real).tolist()
    return 1 - cosines / pairs


def test_worked() -> None:
    assert measured(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])) == pytest.approx(0.533333, abs=5e-7)
    assert measured(torch.eye(5)) == pytest.approx(1)
    assert measured(torch.ones(4, 3)) == pytest.approx(0)


def test_scaling_and_turning_change_nothing_and_a_shift_does() -> None:
    torch.manual_seed(0)
    states = torch.randn(1, 9, 6)
    before = measured(states)
    assert measured(states * torch.rand(1, 9, 1).add(0.1)) == pytest.approx(before)
    turn = torch.linalg.qr(torch.randn(6, 6)).Q
    assert measured(states @ turn) == pytest.approx(before, abs=1e-6)
    assert measured(states + 3) < before - 0.3


def test_padding_takes_no_part_and_pairs_stay_within_a_text() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(4, 6), torch.randn(3, 6)
    both = torch.nn.utils.rnn.pad_sequence([a, b], batch_first=True, padding_value=7.0)
    real = torch.tensor([[True] * 4, [True] * 3 + [False]])
    cosines = sum(cosines_and_pairs(each[None], torch.ones(1, len(each), dtype=torch.bool)) for each in (a, b))
    torch.testing.assert_close(cosines_and_pairs(both, real), cosines)


def test_layers_of_a_model(tiny_lm_folder: Path) -> None:
    model, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    texts = ["the cat sits on the mat", "a dog", "grass is green and sky is blue", "x"]
    found = isotropy(model, tokenizer, texts, batch_size=2)
    assert [each.layer for each in found] == [0, 1, 2]
    total, without = torch.zeros(2), torch.zeros(2)
    for text in texts[:3]:
        ids = torch.tensor([tokenizer.encode(text)])
        with torch.no_grad():
            last = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        total = total + cosines_and_pairs(last, torch.ones(last.shape[:2], dtype=torch.bool)).float()
        without = without + cosines_and_pairs(last[:, 1:], torch.ones(1, last.shape[1] - 1, dtype=torch.bool)).float()
    assert found[-1].isotropy == pytest.approx(1 - (total[0] / total[1]).item(), abs=1e-5)
    assert found[-1].without_first == pytest.approx(1 - (without[0] / without[1]).item(), abs=1e-5)
    assert found[-1].isotropy != found[-1].without_first
    with pytest.raises(InputError, match="three tokens"):
        isotropy(model, tokenizer, ["x"])
