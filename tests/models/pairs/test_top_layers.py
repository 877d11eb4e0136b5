"""Vectors of several top layers."""

from __future__ import annotations

import pytest
import torch

from nearfar.errors import InputError
from nearfar.models.pairs.top_layers import TopLayers, content_tokens, mean_side_by_side, width


def test_mean_leaves_out_cls_and_padding_but_counts_sep() -> None:
    hidden = torch.tensor([[[9.0, 9], [1, 2], [3, 4], [5, 0], [7, 7]]])
    features = {
        "input_ids": torch.tensor([[101, 7, 8, 102, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 0]]),
    }
    counted = content_tokens(features, 101)
    assert mean_side_by_side([hidden], counted).tolist() == [[3, 2]]
    assert mean_side_by_side([hidden, 2 * hidden], counted).tolist() == [[3, 2, 6, 4]]
    hidden[0, 0], hidden[0, 4] = -100.0, 100.0
    assert mean_side_by_side([hidden], counted).tolist() == [[3, 2]]
    assert content_tokens(features, None).sum() == 4


def test_vectors_are_those_of_the_layers_whatever_the_padding(tiny_model) -> None:
    texts = ["the cat sits on the mat", "a bird"]
    together = tiny_model.preprocess(texts)
    alone = tiny_model.preprocess(texts[1:])
    assert alone["input_ids"].shape[1] < together["input_ids"].shape[1]
    with torch.no_grad():
        reader = TopLayers(tiny_model, 2)
        both, one = reader(dict(together))["sentence_embedding"], reader(dict(alone))["sentence_embedding"]
        layers = (
            tiny_model[0]
            .model(input_ids=alone["input_ids"], attention_mask=alone["attention_mask"], output_hidden_states=True)
            .hidden_states
        )
    assert both.shape == (2, 64)
    torch.testing.assert_close(both[1:], one, atol=1e-6, rtol=0)
    expected = torch.cat([layer[:, 1:].mean(1) for layer in layers[-2:]], 1)
    torch.testing.assert_close(one, expected, atol=1e-6, rtol=0)
    assert not tiny_model[0].model.config.output_hidden_states  # no trace is left of it


def test_layers_that_are_not_there(tiny_model) -> None:
    assert width(tiny_model, 2) == 64
    assert width(tiny_model, 0) == 32, "its own vectors"
    for layers in (-1, 3):
        with pytest.raises(InputError, match="layers"):
            width(tiny_model, layers)
