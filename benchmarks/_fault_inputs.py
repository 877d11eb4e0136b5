"""Tiny models and small files for the test of faults."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

NOUNS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "loan", "card", "mat", "grass", "sky", "sea"]


def write_inputs(folder: Path) -> None:
    """Rows of each kind, two tiny encoders, a classifier, a tiny language model, and one that writes answers."""
    folder.mkdir()
    pairs = [(a, b) for a in NOUNS for b in NOUNS if a != b]

    def jsonl(name: str, rows: list[dict[str, Any]]) -> None:
        write_jsonl(folder / name, rows)

    jsonl("pairs.jsonl", [_triplet(a, b) for a, b in pairs[:40]])
    jsonl("held.jsonl", [_triplet(a, b) for a, b in pairs[60:80]])
    jsonl("labelled.jsonl", [{"text": f"the {a} near {b}", "label": a} for a, b in pairs[20:60]])
    jsonl("texts.jsonl", [{"text": f"the {a} and a {b}"} for a, b in pairs[:8]])
    jsonl("questions.jsonl", [{"question": f"the {a} or the {b}", "answer": a} for a, b in pairs[:5]])
    turns = [[("user", f"a {a} please"), ("agent", f"the {a} by the {b}"), ("user", f"no {b}")] for a, b in pairs[:12]]
    rows = [
        {"dialogue_id": str(number), "turns": [{"speaker": who, "text": text} for who, text in each]}
        for number, each in enumerate(turns)
    ]
    jsonl("calls.jsonl", rows)
    jsonl("later.jsonl", [{**row, "turns": row["turns"][::-1]} for row in rows[:6]])
    jsonl("corpus.jsonl", [{"_id": f"{a}-{b}", "text": f"the {a} under a {b}", "about": a} for a, b in pairs[:60]])
    for name, seed in (("tiny", 0), ("other", 1)):
        _encoder(folder / name, seed)
    _classifier(folder / "classifier", folder / "tiny")
    _language_model(folder / "lm")
    _explainer(folder / "explainer")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _triplet(a: str, b: str) -> dict[str, Any]:
    return {"anchor": f"the {a} sits by a {b}", "positive": f"a {a} near the {b}", "other": f"the {b}"}


def _tokenizer(tokens: list[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *tokens]
    made = Tokenizer(models.WordLevel({name: row for row, name in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=128, eos_token="[SEP]", **special)


WORDS = [*NOUNS, *["the", "a", "and", "by", "near", "sits", "under", "please", "no", "user", "agent"]]
ANSWER = ["the", "answer", "is"]


def _encoder(folder: Path, seed: int) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    plain = folder.with_name(f"{folder.name}-plain")
    tokenizer = _tokenizer(WORDS)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **sizes)).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=64)
    SentenceTransformer(modules=[transformer, Pooling(32, "mean")], device="cpu").save_pretrained(str(folder))
    shutil.rmtree(plain)


def _classifier(folder: Path, encoder: Path) -> None:
    import torch

    from nearfar.kinds.classifier import Classifier
    from nearfar.models import load
    from nearfar.models.label_vectors import LabelVectors

    model = load(encoder, device="cpu")
    head = LabelVectors(int(model.get_embedding_dimension() or 0), temperature=0.1)
    torch.manual_seed(0)
    head.add(NOUNS, torch.randn(len(NOUNS), head.vectors.shape[1]))
    Classifier(model, head).save(folder)


def _language_model(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(2)
    tokenizer = _tokenizer(WORDS)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=1024, eos_token_id=3, bos_token_id=2, **sizes
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _explainer(folder: Path) -> None:
    """A language model that writes nouns, then "the answer is", then nouns: the next token depends on the last one."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    tokenizer = _tokenizer([*WORDS, *ANSWER[1:]])
    size = len(tokenizer)
    width = size + size % 2
    config = LlamaConfig(
        vocab_size=size, max_position_embeddings=1024, eos_token_id=3, bos_token_id=2, hidden_size=width,
        num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    nouns, (the, answer, is_) = (tokenizer.convert_tokens_to_ids(words) for words in (NOUNS, ANSWER))
    follows = torch.full((size, size), -1.0)
    follows[:, [*nouns, the]] = 1.0
    follows[the], follows[answer], follows[is_] = -1.0, -1.0, -1.0
    follows[the, answer], follows[answer, is_] = 1.0, 1.0
    follows[is_, nouns] = 1.0
    with torch.no_grad():
        layer = model.model.layers[0]
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size, width))
        model.lm_head.weight[:, :size] = follows.T
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
