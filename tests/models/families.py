"""Usual families of models, two layers and 32 wide, as their authors publish them: with the head of pre-training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers as t

_BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_SPECIAL = {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")}
_T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}

#: The class, its configuration and settings, and a tensor in the last layer of what encodes.
ENCODERS: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "bert": (t.BertForMaskedLM, t.BertConfig, _BERT, "bert.encoder.layer.1.output.dense.weight"),
    "roberta": (t.RobertaForMaskedLM, t.RobertaConfig, _BERT, "roberta.encoder.layer.1.output.dense.weight"),
    "mpnet": (t.MPNetForMaskedLM, t.MPNetConfig, _BERT, "mpnet.encoder.layer.1.output.dense.weight"),
    "electra": (
        t.ElectraForPreTraining,
        t.ElectraConfig,
        _BERT | {"embedding_size": 32},
        "electra.encoder.layer.1.output.dense.weight",
    ),
    "albert": (
        t.AlbertForMaskedLM,
        t.AlbertConfig,
        _BERT | {"embedding_size": 16},
        "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight",
    ),
    "deberta": (
        t.DebertaV2ForMaskedLM,
        t.DebertaV2Config,
        _BERT,
        "deberta.encoder.layer.1.output.dense.weight",
    ),
    "distilbert": (
        t.DistilBertForMaskedLM,
        t.DistilBertConfig,
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
        "distilbert.transformer.layer.1.ffn.lin1.weight",
    ),
    "modernbert": (t.ModernBertForMaskedLM, t.ModernBertConfig, _BERT, "model.layers.1.mlp.Wi.weight"),
    "t5": (
        t.T5EncoderModel,
        t.T5Config,
        _T5,
        "encoder.block.1.layer.1.DenseReluDense.wo.weight",
    ),
    "gpt2": (t.GPT2LMHeadModel, t.GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 2}, "transformer.h.1.ln_1.weight"),
    "llama": (t.LlamaForCausalLM, t.LlamaConfig, _BERT, "model.layers.1.mlp.up_proj.weight"),
    "qwen3": (
        t.Qwen3ForCausalLM,
        t.Qwen3Config,
        _BERT | {"head_dim": 16, "num_key_value_heads": 1},
        "model.layers.1.mlp.up_proj.weight",
    ),
}


def saved(family: str, tokenizer: Path, folder: Path) -> tuple[Path, str]:
    """A model of a family as a folder of transformers, and the name of a tensor in its last layer."""
    model_class, config_class, sizes, name = ENCODERS[family]
    words = t.AutoTokenizer.from_pretrained(str(tokenizer))
    settings = {**_SPECIAL, "max_position_embeddings": 66, **sizes}
    if family in ("t5", "gpt2"):
        del settings["max_position_embeddings"]
    if model_class.__name__.endswith(("ForCausalLM", "LMHeadModel")):
        words.eos_token = words.sep_token
    model_class(config_class(vocab_size=len(words), **settings)).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder, name


def saved_clip(tokenizer: Path, folder: Path) -> Path:
    """A CLIP: two towers, two projections, a temperature."""
    words = t.AutoTokenizer.from_pretrained(str(tokenizer))
    sizes: dict[str, Any] = {**_BERT, **_SPECIAL}
    text = t.CLIPTextConfig(vocab_size=len(words), max_position_embeddings=64, **sizes)
    vision = t.CLIPVisionConfig(image_size=32, patch_size=16, **sizes)
    config = t.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    t.CLIPModel(config).save_pretrained(folder)
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    image = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    t.CLIPProcessor(image, words).save_pretrained(folder)
    return folder


def saved_whisper(folder: Path, *, whole: bool = False) -> Path:
    """Whisper's encoder, or the whole of it."""
    settings: dict[str, Any] = dict(
        vocab_size=99,
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        num_mel_bins=16,
        max_source_positions=50,
        **_SPECIAL,
    )
    config = t.WhisperConfig(**settings)
    model = t.WhisperModel(config)
    (model if whole else model.encoder).save_pretrained(folder)
    t.WhisperFeatureExtractor(feature_size=16, hop_length=160, chunk_length=1).save_pretrained(folder)
    return folder
