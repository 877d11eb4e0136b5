"""Projection layers over sentence vectors, which are used only in training."""

from __future__ import annotations

import copy

import torch
from sentence_transformers import SentenceTransformer
from torch import nn


def mlp_head(inputs: int, outputs: int) -> nn.Sequential:
    """Linear, ReLU, Linear without biases; the hidden layer is as wide as the input.

    Source: Zhang et al. 2021, Supporting Clustering with Contrastive Learning; Zhou et al. 2022, DSE.
    """
    return nn.Sequential(nn.Linear(inputs, inputs, bias=False), nn.ReLU(), nn.Linear(inputs, outputs, bias=False))


def pooler_projection(model: SentenceTransformer, inputs: int, outputs: int) -> nn.Sequential:
    """A copy of the backbone's pooler as a projection from `inputs` to `outputs` dimensions: dense layer, activation.

    For a backbone without a pooler of this shape (DistilBERT, ModernBERT), the dense layer starts as the identity if
    possible, with tanh. The model's own pooler is not changed.
    """
    pooler = getattr(model[0].auto_model, "pooler", None)
    dense, activation = getattr(pooler, "dense", None), getattr(pooler, "activation", None)
    if isinstance(dense, nn.Linear) and isinstance(activation, nn.Module) and dense.weight.shape == (outputs, inputs):
        return copy.deepcopy(nn.Sequential(dense, activation)).requires_grad_()
    dense = nn.Linear(inputs, outputs, device=model.device)
    with torch.no_grad():
        nn.init.zeros_(dense.bias)
        if inputs == outputs:
            nn.init.eye_(dense.weight)
    return nn.Sequential(dense, nn.Tanh())
