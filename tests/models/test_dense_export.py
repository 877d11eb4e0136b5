"""A converted model in plain layers: the same function where it can be, the closest linear layers where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from nearfar.models.low_rank.dense import Moments, folded, to_dense
from nearfar.models.low_rank.layers import LostLinear, LowRankSparse, convert, is_converted
from nearfar.models.new_language import new_llama

TOKENS = torch.randint(0, 64, (40, 12), generator=torch.Generator().manual_seed(0))
BLOCKS = Dataset.from_dict({"input_ids": TOKENS.tolist()}).with_format("torch")


def llama(how: LowRankSparse) -> Any:
    torch.manual_seed(0)
    model = convert(new_llama(64, hidden_size=16, layers=2, heads=2, positions=16), how)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LostLinear):  # as large as training would make them
                module.down.mul_(20)
    return model.eval()


def gpt2(how: LowRankSparse) -> Any:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=16)
    return convert(GPT2LMHeadModel(config), how).eval()


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("sparsity", [0, 0.3])
def test_without_an_activation_it_is_the_same_function(make: Any, sparsity: float, tmp_path: Path) -> None:
    model = make(LowRankSparse(4, sparsity, activation="identity"))
    dense, exact = to_dense(model)
    assert exact
    assert is_converted(model)
    assert not is_converted(dense)
    dense.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is type(model)
    torch.testing.assert_close(loaded(TOKENS).logits, model(TOKENS).logits, rtol=1e-4, atol=1e-5)
    assert loaded.num_parameters() > model.num_parameters()


def test_with_an_activation_nothing_folds() -> None:
    layer = LostLinear.from_linear(nn.Linear(8, 6), LowRankSparse(3, 0.2))
    with pytest.raises(ValueError, match="cannot be merged"):
        folded(layer)
    with pytest.raises(ValueError, match="require text"):
        to_dense(llama(LowRankSparse(4)))


def test_least_squares_are_those_of_all_tokens_together() -> None:
    g = torch.Generator().manual_seed(0)
    x, weight, bias = torch.randn(300, 5, generator=g), torch.randn(3, 5, generator=g), torch.randn(3, generator=g)
    y = x @ weight.T + bias
    moments = Moments(5, 3, x.device)
    for part in (slice(0, 100), slice(100, 300)):
        moments.add(x[part], y[part])
    found = moments.solved()
    torch.testing.assert_close(found[0], weight, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[1], bias, rtol=1e-3, atol=1e-3)
    # Where the function is no linear one, no other line comes closer.
    y = F.silu(3 * y)
    moments = Moments(5, 3, x.device)
    moments.add(x, y)
    fitted = moments.solved()
    expected = torch.linalg.lstsq(torch.cat([x, torch.ones(300, 1)], 1), y).solution
    torch.testing.assert_close(torch.cat([fitted[0].T, fitted[1][None]]), expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("make", [llama, gpt2])
def test_with_an_activation_it_is_fitted_to_the_text(make: Any, tmp_path: Path) -> None:
    model = make(LowRankSparse(4, 0.3))
    dense, exact = to_dense(model, BLOCKS)
    assert not exact
    dense.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(loaded(TOKENS).logits, dense(TOKENS).logits)
    if make is llama:
        assert loaded.config.attention_bias
        assert loaded.config.mlp_bias
    # Each matrix against the one that ignores the activation, silu(h) = h / 2, on the inputs it was fitted to.
    name = next(name for name, module in model.named_modules() if isinstance(module, LostLinear))
    layer: Any = model.get_submodule(name)
    seen: list[Any] = []
    hook = layer.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    with torch.no_grad():
        model(TOKENS)
    hook.remove()
    x, y = seen[0]
    halved = F.linear(x, 0.5 * layer.gamma * layer.up @ layer.down)
    halved = halved + (1 - layer.gamma) * F.linear(x[..., layer.channels], layer.values)
    fitted = dense.get_submodule(name)(x)
    bias = layer.bias if layer.bias is not None else 0
    assert (fitted - y).square().mean() < (halved + bias - y).square().mean()
    assert (fitted - y).mean(dim=(0, 1)).abs().max() < 1e-4 * y.abs().max() + 1e-6  # the bias takes up the mean
