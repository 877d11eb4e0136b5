"""Converts low-rank and sparse layers to dense ones: one matrix each, exactly or by least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.models.low_rank.layers import LostLinear

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

#: Number of tokens for fitting the matrices.
FITTED_TO = 1 << 17
#: Ridge, as a fraction of the mean square of a layer's inputs.
RIDGE = 1e-4


def to_dense(model: PreTrainedModel, blocks: Dataset | None = None) -> tuple[PreTrainedModel, bool]:
    """A model of the same architecture with `nn.Linear` in place of each `LostLinear`.

    Without an activation between the factors, it is the same function. Otherwise each linear layer (with a bias if the
    architecture has one) is the least-squares fit of the layer's outputs for its inputs on `blocks`.

    Args:
        model: A model converted with `convert`, and trained; it is not changed.
        blocks: A column `input_ids`; required if there is an activation.

    Returns:
        The model in evaluation mode, and whether it is the same function.

    Raises:
        ValueError: There is an activation, but no blocks.
    """
    from transformers import AutoModelForCausalLM

    layers = {name: module for name, module in model.named_modules() if isinstance(module, LostLinear)}
    exact = all(layer.activation == "identity" for layer in layers.values())
    if exact:
        weights = {name: (folded(layer), layer.bias) for name, layer in layers.items()}
    elif blocks is None:
        raise ValueError("layers with an activation require text (blocks) for fitting")
    else:
        weights = {}
    config = type(model.config).from_dict({k: v for k, v in model.config.to_dict().items() if k != "low_rank_sparse"})
    for name in () if exact else ("attention_bias", "mlp_bias"):
        if hasattr(config, name):
            setattr(config, name, True)
    dense: Any = AutoModelForCausalLM.from_config(config).to(model.device)
    kept = {k: v for k, v in model.state_dict().items() if not any(k.startswith(f"{name}.") for name in layers)}
    dense.load_state_dict(kept, strict=False)
    dense.tie_weights()
    if blocks is not None and not exact:
        weights = fitted(model, layers, blocks)
    with torch.no_grad():
        for name, (weight, bias) in weights.items():
            linear = dense.get_submodule(name)
            linear.weight.copy_(weight if isinstance(linear, nn.Linear) else weight.T)
            if linear.bias is not None and bias is not None:
                linear.bias.copy_(bias)
    return dense.eval(), exact


def folded(layer: LostLinear) -> Float[Tensor, "o i"]:
    """The matrix of a layer without an activation: gamma B A, plus (1 - gamma) S in the columns J.

    Raises:
        ValueError: There is an activation, so no such matrix exists.
    """
    if layer.activation != "identity":
        raise ValueError("factors with an activation between them cannot be merged into a matrix")
    weight = layer.gamma * layer.up @ layer.down
    if layer.values is not None:
        weight = weight.index_add(1, layer.channels, (1 - layer.gamma) * layer.values)
    return weight.detach()


@torch.no_grad()
def fitted(
    model: PreTrainedModel, layers: dict[str, LostLinear], blocks: Dataset
) -> dict[str, tuple[Float[Tensor, "o i"], Float[Tensor, " o"]]]:
    """The matrices and biases that best fit the outputs of `layers` for their inputs on `blocks`."""
    moments: dict[str, Moments] = {}

    def watch(name: str) -> Any:
        def hook(layer: LostLinear, inputs: tuple[Tensor], output: Tensor) -> None:
            if name not in moments:
                moments[name] = Moments(layer.in_features, layer.out_features, output.device)
            moments[name].add(inputs[0].flatten(0, -2), output.flatten(0, -2))

        return hook

    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
    try:
        model.eval()
        enough = max(1, FITTED_TO // len(blocks[0]["input_ids"]))
        for batch in blocks.select(range(min(enough, len(blocks)))).iter(8):
            tokens: Any = batch["input_ids"]  # type: ignore[call-overload]
            model(input_ids=torch.as_tensor(tokens).to(model.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: found.solved() for name, found in moments.items()}


class Moments:
    """Sums over tokens for solving the least squares of a layer, in double precision.

    Args:
        inputs, outputs: Numbers of inputs and outputs.
        device: Device of the sums.
    """

    def __init__(self, inputs: int, outputs: int, device: torch.device) -> None:
        self.xx = torch.zeros(inputs + 1, inputs + 1, dtype=torch.float64, device=device)
        self.xy = torch.zeros(inputs + 1, outputs, dtype=torch.float64, device=device)

    def add(self, x: Float[Tensor, "n i"], y: Float[Tensor, "n o"]) -> None:
        """Add tokens."""
        with_one = torch.cat([x, x.new_ones(len(x), 1)], 1).double()
        self.xx += with_one.T @ with_one
        self.xy += with_one.T @ y.double()

    def solved(self) -> tuple[Float[Tensor, "o i"], Float[Tensor, " o"]]:
        """The matrix and the bias, with a very small ridge for directions that the tokens do not determine."""
        ridge = torch.full_like(self.xx[0], RIDGE * float(self.xx.diagonal()[:-1].mean()))
        ridge[-1] = 0
        solution = torch.linalg.solve(self.xx + torch.diag(ridge), self.xy)
        return solution[:-1].T.float(), solution[-1].float()
