"""Beam search, against that of transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nearfar.decoding.methods.beam import METHOD, Options
from nearfar.errors import InputError
from nearfar.models.language import load_language_model


def test_it_finds_a_text_at_least_as_probable_as_the_greedy_one(tiny_lm_folder: Path) -> None:
    model, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    ids = torch.tensor([tokenizer.encode("the cat")])
    common = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}

    def log_probability(**options: object) -> float:
        with torch.no_grad():
            text = model.generate(ids, **common, **options)
            logits = model(input_ids=text).logits[0, ids.shape[1] - 1 : -1].log_softmax(1)
        return float(logits.gather(1, text[0, ids.shape[1] :, None]).sum())

    assert log_probability(**METHOD.arguments(model, Options(num_beams=8))) >= log_probability() - 1e-4


def test_settings_reach_the_library_and_tokens_are_not_final_at_once() -> None:
    assert METHOD.arguments(None, Options(3, -0.5)) == {"num_beams": 3, "length_penalty": -0.5}
    assert (METHOD.streams, METHOD.random) == (False, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_beams", 1), ("num_beams", 0), ("length_penalty", float("nan")), ("length_penalty", float("inf"))],
)
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name}: .* {value}"):
        Options(**{name: value})
