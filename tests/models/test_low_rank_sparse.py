"""Low-rank and sparse layers: the initialisation on worked numbers, what it must hold on any weight, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from nearfar.errors import InputError
from nearfar.models.language import load_language_model
from nearfar.models.low_rank.files import load_low_rank_sparse, save_low_rank_sparse
from nearfar.models.low_rank.layers import LostLinear, LowRankSparse, convert, convert_shapes, decompose, is_converted
from nearfar.models.new_language import new_llama

TOY = torch.tensor([[3, 1, 0, 0.5], [1, 2, 0, -0.5], [0, 0, 1, 2]], dtype=torch.float64)
X = torch.tensor([1, -1, 2, 0.5], dtype=torch.float64)


def random_weight(outputs: int, inputs: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(outputs, inputs, generator=g, dtype=torch.float64) * 0.02


def linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def tiny_llama(**kwargs: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return new_llama(64, **{"hidden_size": 16, "layers": 2, "heads": 2, "positions": 32, **kwargs})


# The worked example.


@pytest.mark.parametrize(
    ("scored", "expected"),
    [(2, [0.6902947, 1.2082553, 0.9990924, 2.1055253]), (1, [0.1467331, 0.5497981, 0.9178855, 2.0997100])],
)
def test_scores_of_the_worked_weight(scored: int, expected: list[float]) -> None:
    parts = decompose(TOY, LowRankSparse(rank=1, sparsity=0.25, scored=scored))
    assert parts.scores.tolist() == pytest.approx(expected, abs=5e-7)
    assert parts.channels.tolist() == [3]
    assert parts.values.flatten().tolist() == [0.5, -0.5, 2.0]
    assert float(parts.down.norm() ** 2) == pytest.approx(3.6238365, abs=5e-7)


def test_output_of_the_worked_layer() -> None:
    how = LowRankSparse(rank=1, sparsity=0.25, gamma=0.7)
    layer = LostLinear.from_linear(linear(TOY), how)
    assert layer.values is not None
    low = F.silu(X @ layer.down.T) @ layer.up.T
    assert low.tolist() == pytest.approx([0.8256953, 0.4923840, 0.0409866], abs=5e-7)
    assert (X[layer.channels] @ layer.values.T).tolist() == [0.25, -0.25, 1.0]
    assert layer(X).tolist() == pytest.approx([0.6529866, 0.2696688, 0.3286907], abs=5e-7)


# What must hold on any weight.


@pytest.mark.parametrize("shape", [(12, 9), (9, 12)])
def test_factors_are_the_best_approximation_and_balanced(shape: tuple[int, int]) -> None:
    weight, r = random_weight(*shape), 4
    parts = decompose(weight, LowRankSparse(rank=r, sparsity=0.3))
    s = torch.linalg.svdvals(weight)
    left = (weight - parts.up @ parts.down).square().sum()
    torch.testing.assert_close(left, s[r:].square().sum())
    for gram in (parts.down @ parts.down.T, parts.up.T @ parts.up):
        torch.testing.assert_close(gram, torch.diag(s[:r]), rtol=1e-9, atol=1e-12)
    # Pythagoras, column by column, where all directions beyond the r-th are looked at.
    expected = weight.square().sum(0) - (parts.up @ parts.down).square().sum(0)
    torch.testing.assert_close(parts.scores.square(), expected, rtol=1e-9, atol=1e-12)
    assert parts.channels.tolist() == sorted(parts.scores.topk(int(0.3 * shape[1])).indices.tolist())


def test_select_looks_at_the_first_or_the_last_directions() -> None:
    weight = random_weight(12, 9)
    s = torch.linalg.svdvals(weight)
    for select, seen in (("normal", s[4:6]), ("inverse", s[7:9])):
        parts = decompose(weight, LowRankSparse(rank=4, scored=2, select=select, values="residual", sparsity=1))
        torch.testing.assert_close(parts.scores.square().sum(), seen.square().sum())
        torch.testing.assert_close(parts.values.norm(dim=0), parts.scores)


def test_the_two_ends_of_the_blend() -> None:
    weight, bias = random_weight(6, 10), random_weight(1, 6)[0]
    x = random_weight(5, 10, seed=1)
    full = LostLinear.from_linear(linear(weight, bias), LowRankSparse(6, sparsity=0, activation="identity"))
    torch.testing.assert_close(full(x), x @ weight.T + bias)
    for how in (LowRankSparse(3, gamma=1, activation="identity"), LowRankSparse(3, sparsity=0, activation="identity")):
        layer = LostLinear.from_linear(linear(weight), how)
        torch.testing.assert_close(layer(x), x @ (layer.up @ layer.down).T)
    sparse = LostLinear.from_linear(linear(weight, bias), LowRankSparse(3, sparsity=0.4, gamma=0))
    masked = torch.zeros_like(weight)
    masked[:, sparse.channels] = weight[:, sparse.channels]
    torch.testing.assert_close(sparse(x), x @ masked.T + bias)


def test_gradient_of_the_sparse_part_is_the_dense_one_in_its_columns() -> None:
    weight, x = random_weight(6, 10), random_weight(5, 10, seed=1)
    layer = LostLinear.from_linear(linear(weight), LowRankSparse(3, sparsity=0.4, gamma=0.7))
    assert layer.values is not None
    assert layer.values.shape == (6, 4)
    y = layer(x)
    upstream = random_weight(*y.shape, seed=2)
    y.backward(upstream)
    dense = upstream.T @ x  # of y = W x
    torch.testing.assert_close(layer.values.grad, 0.3 * dense[:, layer.channels])


def test_signs_of_singular_vectors_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, x = random_weight(6, 10), 50 * random_weight(5, 10, seed=1)
    how = LowRankSparse(3, sparsity=0.2)
    expected = LostLinear.from_linear(linear(weight), how)(x)
    svd = torch.linalg.svd

    def flipped(matrix: torch.Tensor, full_matrices: bool) -> Any:
        u, s, vt = svd(matrix, full_matrices=full_matrices)
        signs = torch.tensor([-1.0, 1, -1, -1, 1, -1], dtype=u.dtype)
        return u * signs, s, vt * signs[:, None]

    monkeypatch.setattr(torch.linalg, "svd", flipped)
    torch.testing.assert_close(LostLinear.from_linear(linear(weight), how)(x), expected)
    # It would have mattered: silu(-h) is not -silu(h).
    layer = LostLinear.from_linear(linear(weight), how)
    with torch.no_grad():
        layer.down.neg_()
        layer.up.neg_()
    assert (layer(x) - expected).abs().max() > 1e-3


def test_small_inputs_see_half_of_the_low_rank_part() -> None:
    weight = random_weight(30, 40)
    layer = LostLinear.from_linear(linear(weight), LowRankSparse(8, sparsity=0.1))
    x = F.normalize(random_weight(7, 40, seed=1), dim=1) * 1e-2
    expected = 0.35 * x @ (layer.up @ layer.down).T + 0.3 * x[:, layer.channels] @ weight[:, layer.channels].T
    assert (layer(x).norm(dim=1) / expected.norm(dim=1) - 1).abs().max() < 0.05


def test_a_weight_of_too_low_a_rank_is_refused() -> None:
    low = random_weight(12, 4) @ random_weight(4, 10, seed=1)
    with pytest.raises(InputError, match=r"^rank: .*12 x 10 .*\b4\b"):
        decompose(low, LowRankSparse(rank=4))
    assert decompose(low, LowRankSparse(rank=3)).up.shape == (12, 3)
    with pytest.raises(InputError, match=r"^rank: .* 9: .*\b9 inputs.*\b12 outputs"):
        decompose(random_weight(12, 9), LowRankSparse(rank=9))


def test_variants_draw_from_their_generator() -> None:
    weight = random_weight(64, 200)
    how = LowRankSparse(16, sparsity=0.1, factors="cola", channels="random")
    one, same, other = (decompose(weight, how, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.channels, same.channels)
    assert torch.equal(one.up, same.up)
    assert not torch.equal(one.channels, other.channels)
    assert one.channels.tolist() == sorted(set(one.channels.tolist()))
    std = 16**-0.25 * 264**-0.25
    assert float(one.down.std()) == pytest.approx(std, rel=0.05)
    assert float(one.up.std()) == pytest.approx(std, rel=0.08)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank: invalid value 0"),
        ({"gamma": 1.5}, "gamma: invalid value 1.5"),
        ({"sparsity": -0.1}, "sparsity: invalid value -0.1"),
    ],
)
def test_numbers_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LowRankSparse(**{"rank": 4, **options})


# Whole models.

SIZES = [  # width, mlp, layers, rank, then millions: full, low rank, 1% and 5% of the channels
    (512, 1376, 8, 128, 58.06, 42.76, 43.01, 44.00),
    (768, 2048, 12, 256, 134.09, 93.98, 94.77, 98.19),
    (1024, 2736, 24, 256, 367.92, 185.17, 188.13, 200.23),
    (2048, 5461, 24, 512, 1338.98, 609.21, 621.04, 669.42),
]


@pytest.mark.parametrize("size", SIZES)
def test_parameters_of_the_papers_models(size: tuple[Any, ...]) -> None:
    width, mlp, layers, rank, *expected = size
    config = LlamaConfig(
        vocab_size=32_000, hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers, num_attention_heads=8
    )
    found = []
    for sparsity in (None, 0, 0.01, 0.05):
        with torch.device("meta"):
            model = LlamaForCausalLM(config)
            if sparsity is not None:
                convert_shapes(model, LowRankSparse(rank, sparsity))
        found.append(sum(w.numel() for name, w in model.named_parameters() if "norm" not in name) / 1e6)
    assert found == pytest.approx(expected, abs=0.006)


def test_no_dense_matrix_is_left() -> None:
    model = tiny_llama()
    before = {name: weight.shape for name, weight in model.state_dict().items()}
    convert(model, LowRankSparse(4, 0.2))
    after = model.state_dict()
    replaced = {name for name in before if "_proj.weight" in name}
    assert len(replaced) == 2 * 7
    assert not replaced & set(after)
    assert {name for name in after if name in before} == set(before) - replaced
    assert all(tuple(after[f"{name[:-7]}.up"].shape) == (before[name][0], 4) for name in replaced)
    with pytest.raises(InputError, match=r"^--model: "):
        convert(model, LowRankSparse(4))


def test_transposed_layers_with_biases_are_taken_apart_too() -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=16)).eval()
    tokens = torch.arange(8)[None]
    full = model(tokens).logits
    # All directions, no activation: the same function.
    convert(model, LowRankSparse(16, sparsity=0, activation="identity"))
    torch.testing.assert_close(model(tokens).logits, full, rtol=1e-4, atol=1e-5)
    assert sum(isinstance(module, LostLinear) for module in model.modules()) == 4


def test_a_saved_model_loads_again_here_and_is_refused_elsewhere(tmp_path: Path) -> None:
    model = convert(tiny_llama(), LowRankSparse(4, 0.2)).eval()
    save_low_rank_sparse(model, tmp_path)
    tokens = torch.arange(12)[None]
    loaded = load_low_rank_sparse(tmp_path)
    assert is_converted(loaded)
    assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    with pytest.raises(ValueError, match="low_rank_sparse"):
        AutoModelForCausalLM.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": {}}, "is not a configuration of low-rank layers"),
        ({"low_rank_sparse": {"rank": 4, "gama": 0.7}}, "is not a configuration of low-rank layers"),
        ({"low_rank_sparse": {"rank": 0}}, "rank: invalid value 0"),
    ],
)
def test_a_damaged_configuration_is_one_line(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_low_rank_sparse(convert(tiny_llama(), LowRankSparse(4, 0.2)), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(InputError, match=message):
        load_low_rank_sparse(tmp_path)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    for folder, layers in (("a", 2), ("b", 3)):
        save_low_rank_sparse(convert(tiny_llama(layers=layers), LowRankSparse(4, 0.2)), tmp_path / folder)
    (tmp_path / "a" / "model.safetensors").replace(tmp_path / "b" / "model.safetensors")
    with pytest.raises(InputError, match=r"b: .*model\.layers\.2"):
        load_low_rank_sparse(tmp_path / "b")
    with pytest.raises(InputError, match=r"b: .*\(ValueError: "):  # no tokenizer either
        load_language_model(tmp_path / "b")
