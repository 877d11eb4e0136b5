"""GGUF files: every tensor that the model of their metadata needs is in them, or they are refused.

A stand-in for transformers says what it would say; with the package gguf, tiny files are written and read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from nearfar.errors import InputError
from nearfar.models import language
from nearfar.models.language import load_language_model

WIDTH, INNER, LAYERS = 32, 64, 2
OF_LAYER = {
    "attn_norm": (WIDTH,),
    **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH)),
    "ffn_norm": (WIDTH,),
    **dict.fromkeys(("ffn_gate", "ffn_up"), (INNER, WIDTH)),
    "ffn_down": (WIDTH, INNER),
}


def write(file: Path, without: Sequence[str] = (), layers: int = LAYERS) -> Path:
    """A Llama of random weights, two layers of them, that reads bytes."""
    gguf = pytest.importorskip("gguf")
    out = gguf.GGUFWriter(str(file), "llama")
    tokens = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256)), "\u2581".encode()]
    out.add_context_length(64)
    out.add_embedding_length(WIDTH)
    out.add_block_count(layers)
    out.add_feed_forward_length(INNER)
    out.add_head_count(2)
    out.add_head_count_kv(2)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // 2)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores([0.0] * len(tokens))
    out.add_token_types([2, 3, 3, *[6] * 256, 1])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd": (len(tokens), WIDTH),
        "output_norm": (WIDTH,),
        "output": (len(tokens), WIDTH),
        **{f"blk.{layer}.{name}": shape for layer in range(LAYERS) for name, shape in OF_LAYER.items()},
    }
    draw = np.random.default_rng(0)
    for name, shape in shapes.items():
        if name not in without:
            out.add_tensor(f"{name}.weight", draw.normal(size=shape).astype(np.float32) * 0.1)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return file


@pytest.mark.parametrize("without", [(), ("output",)])
def test_a_whole_file_is_read(without: Sequence[str], tmp_path: Path):
    # Without a head of its own, the embeddings are the head.
    model, _ = load_language_model(write(tmp_path / "tiny.gguf", without))
    with torch.no_grad():
        assert torch.isfinite(model(torch.tensor([[5, 6, 7]])).logits).all()


@pytest.mark.parametrize(
    ("without", "layers", "missing"),
    [
        (["blk.1.ffn_down"], LAYERS, r"model\.layers\.1\.mlp\.down_proj\.weight"),
        (["output_norm"], LAYERS, r"model\.norm\.weight"),
        (["token_embd"], LAYERS, r"model\.embed_tokens\.weight"),
        ([], LAYERS + 1, r"model\.layers\.2\.\S*"),
    ],
)
def test_a_file_without_a_tensor_is_refused(without: Sequence[str], layers: int, missing: str, tmp_path: Path):
    file = write(tmp_path / "tiny.gguf", without, layers)
    with pytest.raises(InputError, match=rf"the weights do not contain '{missing}', which the model of its metadata"):
        load_language_model(file)


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        ({"model.norm.weight"}, "do not contain 'model.norm.weight', which the model of its metadata needs"),
        ({"lm_head.weight", "model.norm.weight"}, "expected a language model, but .* 'lm_head.weight'"),
        (set(), None),
    ],
)
def test_what_transformers_says_is_missing(
    missing: set[str], problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Model(torch.nn.Module):
        base_model_prefix, all_tied_weights_keys, config = "model", None, SimpleNamespace()

    def loaded(*_: Any, **__: Any) -> tuple[Model, dict[str, Any]]:
        return Model(), {"missing_keys": missing, "unexpected_keys": set()}

    file = tmp_path / "tiny.gguf"
    file.touch()
    monkeypatch.setattr(language.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: None)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", loaded)
    if problem is None:
        assert not load_language_model(file)[0].training
        return
    with pytest.raises(InputError, match=problem) as caught:
        load_language_model(file)
    assert caught.value.file == file
