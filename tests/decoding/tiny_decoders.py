"""Sizes of tiny decoders, and the prompts that they continue."""

from __future__ import annotations

from typing import Any

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "eos_token_id": None,
    "bos_token_id": None,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
#: Those of families with names of their own for the others.
GPT: dict[str, Any] = {"vocab_size": 97, "initializer_range": 0.3, "eos_token_id": None, "bos_token_id": None}
PROMPTS = [[7, 23, 51, 8, 64, 30, 11, 90, 42, 15, 77], [33, 12, 58, 71, 20, 9, 84]]
