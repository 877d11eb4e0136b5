"""Setting the dropout of a loaded model."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.dropout import set_dropout


def test_every_layer_and_the_attention_have_the_new_probability(tiny_model_folder: Path) -> None:
    model = load(tiny_model_folder, device="cpu")
    places = set_dropout(model, 0.375)
    layers = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert layers
    assert set(layers) == {0.375}
    assert places >= len(layers)
    assert set_dropout(model, 0.0) == places


def test_attention_that_has_only_a_number() -> None:
    class Attention(nn.Module):
        dropout_prob, attention_dropout, dropout = 0.1, 0.1, True

    model = nn.Sequential(Attention(), nn.Dropout(0.1))
    assert set_dropout(model, 0.25) == 3
    assert (model[0].dropout_prob, model[0].attention_dropout, model[0].dropout) == (0.25, 0.25, True)


@pytest.mark.parametrize("probability", [-0.1, 1.0, float("nan")])
def test_no_probability(probability: float) -> None:
    with pytest.raises(InputError) as caught:
        set_dropout(nn.Dropout(), probability)
    assert caught.value.field == "dropout"


def test_a_model_without_dropout() -> None:
    with pytest.raises(InputError) as caught:
        set_dropout(nn.Linear(2, 2), 0.1)
    assert caught.value.field == "--model"
