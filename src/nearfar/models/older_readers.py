"""What text-embeddings-inference, vLLM and sentence-transformers before version 6 read in a model's folder.

sentence-transformers 6 writes three files in a form that they do not know:

1_Pooling/config.json       `pooling_mode` as a text. They read one truth value for each mode; without these,
                            text-embeddings-inference refuses the model, and vLLM pools by its own default.
modules.json                The modules under new paths. vLLM looks for `sentence_transformers.models.Pooling` and
                            `sentence_transformers.models.Normalize`, and ignores the pooling otherwise.
sentence_bert_config.json   No `max_seq_length`, which text-embeddings-inference requires where the file exists.

`write_for_older_readers` adds what is missing. sentence-transformers 6 reads the result as the same model.

Source: the loaders of text-embeddings-inference (router/src/lib.rs, 1.9) and vLLM (transformers_utils/config.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nearfar.models.model_files import json_object, parts_of, read_json

__all__ = ["FLAGS", "write_for_older_readers"]

#: The truth value of each mode of pooling, in the order in which several modes are concatenated.
FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
_OLD = "sentence_transformers.models."
#: New paths of modules that every version has under the old path.
_NEW = {
    "sentence_transformers.base.modules.transformer.Transformer": "Transformer",
    "sentence_transformers.base.modules.dense.Dense": "Dense",
    "sentence_transformers.base.modules.normalize.Normalize": "Normalize",
    "sentence_transformers.sentence_transformer.modules.pooling.Pooling": "Pooling",
    "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding": "StaticEmbedding",
}
#: More tokens than any model reads.
_LONGEST = 1 << 30
#: Settings of a transformer for texts, which version 6 assumes where they are missing and older ones do not know.
_USUAL = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}


def write_for_older_readers(folder: Path) -> None:
    """Add to the files of a model of sentence-transformers, and of its views and routes, what older readers need.

    The folder of another kind of model is not changed.
    """
    # The folder of each view is a model, too.
    for root in (folder, *(listing.parent for listing in sorted(folder.glob("*/modules.json")))):
        if (root / "modules.json").is_file():
            _modules(root / "modules.json")
        for part in parts_of(root):
            if (part / "config.json").is_file():
                _pooling(part / "config.json")
            if (part / "sentence_bert_config.json").is_file():
                _transformer(part)


def _modules(listing: Path) -> None:
    modules = read_json(listing, list)
    for module in modules:
        if module.get("type") in _NEW:
            module["type"] = f"{_OLD}{_NEW[module['type']]}"
    _write(listing, modules)


def _pooling(file: Path) -> None:
    """Version 6 has `embedding_dimension`; with both names for the width it would warn, so the old one remains."""
    settings = json_object(file)
    if not {"pooling_mode", "embedding_dimension"} <= settings.keys():
        return
    mode, width = settings.pop("pooling_mode"), settings.pop("embedding_dimension")
    modes = [mode] if isinstance(mode, str) else list(mode)
    # Before `include_prompt`: older releases of vLLM take the first value that is true.
    flags = {flag: name in modes for name, flag in FLAGS.items()}
    # Version 5 takes a single mode under this name, too, but no list of them.
    one = {"pooling_mode": modes[0]} if len(modes) == 1 else {}
    _write(file, {"word_embedding_dimension": width, **flags, **one, **settings})


def _transformer(part: Path) -> None:
    file, tokenizer = part / "sentence_bert_config.json", part / "tokenizer_config.json"
    settings = json_object(file)
    length = json_object(tokenizer).get("model_max_length") if tokenizer.is_file() else None
    # transformers writes a huge number for a tokenizer without a limit.
    if "max_seq_length" in settings or not isinstance(length, int) or length > _LONGEST:
        return
    added = {} if {**_USUAL, **settings} == _USUAL else settings
    _write(file, {"max_seq_length": length, "do_lower_case": False, **added})


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
