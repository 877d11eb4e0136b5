"""Projection layers that only training uses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer

from nearfar.models.projection import mlp_head, pooler_projection


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_model_folder), device="cpu")


def test_two_layers_without_biases() -> None:
    head = mlp_head(6, 3)
    first, second = (layer.weight for layer in (head[0], head[2]))
    x = torch.randn(4, 6)
    torch.testing.assert_close(head(x), (x @ first.T).clamp(min=0) @ second.T)
    assert [tuple(weight.shape) for weight in head.parameters()] == [(6, 6), (3, 6)]


def test_the_projection_is_a_copy_of_the_pooler(model: SentenceTransformer) -> None:
    pooler = model[0].auto_model.pooler.requires_grad_(False)
    torch.nn.init.normal_(pooler.dense.bias)
    x = torch.randn(3, 32)
    projection = pooler_projection(model, 32, 32)
    torch.testing.assert_close(projection(x), torch.tanh(pooler.dense(x)))
    assert all(weight.requires_grad for weight in projection.parameters())
    with torch.no_grad():
        projection[0].weight.zero_()
    assert pooler.dense.weight.any()


def test_of_another_shape_it_starts_as_the_identity_where_it_can(model: SentenceTransformer) -> None:
    x = torch.randn(3, 16)
    torch.testing.assert_close(pooler_projection(model, 16, 16)(x), torch.tanh(x))
    assert pooler_projection(model, 32, 16)(torch.randn(3, 32)).shape == (3, 16)
    model[0].auto_model.pooler = None
    x = torch.randn(3, 32)
    torch.testing.assert_close(pooler_projection(model, 32, 32)(x), torch.tanh(x))
