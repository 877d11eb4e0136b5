"""Encoders of four random layers, 32 wide."""

from __future__ import annotations

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaModel,
    ModernBertConfig,
    ModernBertModel,
)

SHAPE = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
KINDS = {
    "bert": (BertModel, BertConfig, {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}),
    "modernbert": (ModernBertModel, ModernBertConfig, {}),
    "llama": (LlamaModel, LlamaConfig, {"num_key_value_heads": 2}),
}


def saved(kind: str, tokenizer: Path, folder: Path, *, normalize: bool = False) -> Path:
    """A model of that kind with mean pooling and the vocabulary of the tiny model, as a folder."""
    model_class, config_class, more = KINDS[kind]
    words = AutoTokenizer.from_pretrained(str(tokenizer))
    special = {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")}
    torch.manual_seed(1)
    model = model_class(config_class(vocab_size=len(words), max_position_embeddings=64, **special, **SHAPE, **more))
    with torch.no_grad():
        for name, p in model.named_parameters():
            # Norms that do something: fresh ones are the identity on what is normalised already.
            p.mul_(3).add_(0.3 * torch.randn_like(p)) if "norm" in name.lower() else p.mul_(5)
    model.save_pretrained(folder / "plain")
    words.save_pretrained(folder / "plain")
    transformer = Transformer(str(folder / "plain"), max_seq_length=64)
    modules = [transformer, Pooling(32, "mean"), *([Normalize()] if normalize else [])]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"
