"""Linear layers with a low-rank part and a few dense input channels, both initialised from one SVD.

    y = gamma * B phi(A x) + (1 - gamma) * S x[J] + bias

Li et al. 2025, LOST: Low-rank and Sparse Pre-training for Large Language Models (arXiv 2508.02668).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.errors import InputError
from nearfar.models.low_rank.options import LowRankSparse

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = [
    "LostLinear",
    "LowRankSparse",
    "Parts",
    "convert",
    "convert_shapes",
    "decompose",
    "is_converted",
]

#: A singular value below this fraction of the largest is a rounding error.
RELATIVE_ZERO = 1e-6
#: Layers with fewer outputs are routers of experts, and are not compressed.
LEAST_OUTPUTS = 16


class Parts(NamedTuple):
    """The parts of a decomposed weight."""

    up: Float[Tensor, "o r"]
    down: Float[Tensor, "r i"]
    channels: Int[Tensor, " m"]
    values: Float[Tensor, "o m"]
    scores: Float[Tensor, " i"]


def decompose(weight: Float[Tensor, "o i"], how: LowRankSparse, generator: torch.Generator | None = None) -> Parts:
    """Decompose an initial weight with one SVD: the paper's initialisation.

    The signs of singular vectors are arbitrary, but they matter with an activation between the factors: the largest
    entry of each left vector is made positive.

    Args:
        weight: W, of full rank.
        how: Rank, channels, and the variants of both.
        generator: Random generator.

    Returns:
        B = U_r sqrt(s_r), A = sqrt(s_r) V_r^T, the kept channels J in ascending order, their weights, and the scores
        c_j = ||R[:, j]|| of all channels, with R the residual of the directions looked at.

    Raises:
        InputError: The rank is too large for the weight, or the weight does not have full rank.
    """
    matrix = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
    (outputs, inputs), r = matrix.shape, how.rank
    full = min(outputs, inputs)
    if r > full or (r == full and how.sparsity):
        problem = f"must be below {full} for a layer with {inputs} inputs and {outputs} outputs"
        raise InputError(f"invalid value {r}: {problem}", field="rank", remedy=f"use less than {full}")
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    if not s[min(r, full - 1)] > RELATIVE_ZERO * s[0]:
        raise InputError(
            f"a weight of shape {outputs} x {inputs} has at most rank {r}, so only rounding errors remain for channels",
            field="rank",
            remedy="use random initial weights, or a lower rank",
        )
    largest = u.gather(0, u.abs().argmax(0, keepdim=True))
    u, vt = u * largest.sign(), vt * largest.sign().T
    count = min(how.scored, full - r)
    seen = slice(r, r + count) if how.select == "normal" else slice(full - count, full)
    residual = (u[:, seen] * s[seen]) @ vt[seen]
    scores = residual.norm(dim=0)

    kept = how.kept(inputs)
    if how.channels == "random":
        chosen = torch.randperm(inputs, generator=generator)[:kept].to(matrix.device)
    else:
        chosen = scores.topk(kept).indices
    channels = chosen.sort().values
    root = s[:r].sqrt()
    up, down = u[:, :r] * root, root[:, None] * vt[:r]
    if how.factors == "cola":
        std = r**-0.25 * (inputs + outputs) ** -0.25
        up, down = (torch.randn(part.shape, generator=generator).to(part) * std for part in (up, down))
    values = (matrix if how.values == "original" else residual)[:, channels]
    return Parts(up, down, channels, values, scores)


class LostLinear(nn.Module):
    """A linear layer of low-rank factors and a few dense channels: `gamma * B phi(A x) + (1 - gamma) * S x[J] + b`.

    The constructor only sets the shapes; `from_linear` initialises the layer from a weight.

    Args:
        inputs, outputs: i and o.
        how: Rank, channels, blend and activation.
        bias: Whether there is a bias of shape (o,).
    """

    channels: Int[Tensor, " m"]

    def __init__(self, inputs: int, outputs: int, how: LowRankSparse, bias: bool = False) -> None:
        super().__init__()
        self.in_features, self.out_features, self.gamma, self.activation = inputs, outputs, how.blend, how.activation
        kept = how.kept(inputs)
        self.down = nn.Parameter(torch.empty(how.rank, inputs))
        self.up = nn.Parameter(torch.empty(outputs, how.rank))
        self.values = nn.Parameter(torch.empty(outputs, kept)) if kept else None
        self.register_buffer("channels", torch.zeros(kept, dtype=torch.long))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    @classmethod
    def from_linear(cls, linear: nn.Module, how: LowRankSparse, generator: torch.Generator | None = None) -> LostLinear:
        """A layer initialised from the weight of an `nn.Linear`, or of the transposed `Conv1D` of transformers.

        Raises:
            InputError: As for `decompose`.
        """
        weight = _weight(linear)
        bias = linear.bias if isinstance(linear.bias, Tensor) else None
        parts = decompose(weight, how, generator)
        layer = cls(weight.shape[1], weight.shape[0], how, bias is not None).to(weight)
        with torch.no_grad():
            layer.down.copy_(parts.down)
            layer.up.copy_(parts.up)
            layer.channels.copy_(parts.channels)
            if layer.values is not None:
                layer.values.copy_(parts.values)
            if layer.bias is not None and bias is not None:
                layer.bias.copy_(bias)
        return layer

    def forward(self, x: Float[Tensor, "*batch i"]) -> Float[Tensor, "*batch o"]:
        """The output y for each x."""
        h = F.linear(x, self.down)
        h = F.silu(h) if self.activation == "silu" else h
        y = F.linear(self.gamma * h, self.up, self.bias)
        if self.values is None:
            return y
        return y + (1 - self.gamma) * F.linear(x.index_select(-1, self.channels), self.values)

    def extra_repr(self) -> str:
        """Shapes, for printing a model."""
        rank, kept = self.down.shape[0], len(self.channels)
        return f"{self.in_features}, {self.out_features}, rank={rank}, channels={kept}, gamma={self.gamma:g}"


def convert(model: PreTrainedModel, how: LowRankSparse, generator: torch.Generator | None = None) -> PreTrainedModel:
    """Replace all linear layers in attention and MLP of a causal language model, in place.

    Embeddings, norms, the output layer and routers of experts are not changed. `config.low_rank_sparse` records the
    options.

    Raises:
        InputError: As for `decompose`; or the model is already converted, or has no such layers.
    """
    if is_converted(model):
        raise InputError("the model already has low-rank layers", field="--model", remedy="use another model")
    for name, linear in _linear_layers(model):
        model.set_submodule(name, LostLinear.from_linear(linear, how, generator))
    model.config.low_rank_sparse = asdict(how)  # type: ignore[attr-defined]
    return model


def convert_shapes(model: PreTrainedModel, how: LowRankSparse) -> PreTrainedModel:
    """The same without values, for weights that are loaded afterwards."""
    for name, linear in _linear_layers(model):
        weight = _weight(linear)
        layer = LostLinear(weight.shape[1], weight.shape[0], how, isinstance(linear.bias, Tensor))
        model.set_submodule(name, layer.to(weight))
    model.config.low_rank_sparse = asdict(how)  # type: ignore[attr-defined]
    return model


def is_converted(model: nn.Module) -> bool:
    """Whether a model has low-rank and sparse layers."""
    return any(isinstance(module, LostLinear) for module in model.modules())


def _weight(linear: nn.Module) -> Float[Tensor, "o i"]:
    weight = linear.weight
    assert isinstance(weight, Tensor)
    return weight if isinstance(linear, nn.Linear) else weight.T


def _linear_layers(model: PreTrainedModel) -> list[tuple[str, nn.Module]]:
    from transformers.pytorch_utils import Conv1D

    # The blocks of a model are numbered; layers outside of them are for the vocabulary.
    found: list[tuple[str, nn.Module]] = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and module is not model.get_output_embeddings()
        and any(part.isdecimal() for part in name.split("."))
        and _weight(module).shape[0] >= LEAST_OUTPUTS
    ]
    if not found:
        raise InputError("the model has no linear layers to replace", field="--model", remedy="use another model")
    return found
