"""Folders for text-embeddings-inference and vLLM, read as the servers read them.

Both take the weights and the tokenizer of the folder, and pool as `1_Pooling/config.json` says by its truth values:
text-embeddings-inference by the first of CLS, mean and last token, vLLM by the first value that is true, if
`modules.json` lists `sentence_transformers.models.Pooling`. Vectors are normalised: by text-embeddings-inference on
request (its default), by vLLM if `modules.json` lists `sentence_transformers.models.Normalize`. Prompts are for whoever
asks: text-embeddings-inference adds one of the folder by its name, vLLM none.

Source: the loaders of text-embeddings-inference (router/src/lib.rs, 1.9) and vLLM (transformers_utils/config.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.models.adapters import CONFIGURATION
from nearfar.models.model_files import json_object, read_json
from nearfar.models.older_readers import FLAGS
from nearfar.serving.runner import runner
from nearfar.serving.settings import write_settings

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["check_tei", "check_vllm", "load_tei", "load_vllm", "write"]

#: Modes of pooling that both servers have, in the order in which text-embeddings-inference looks for them.
_POOLED = ("cls", "mean", "lasttoken")
_OLD = "sentence_transformers.models."


def write(model: SentenceTransformer, folder: Path, int8: bool) -> None:
    """Write the model with the settings that both servers read; it has no int8.

    Raises:
        InputError: The vectors are truncated, or the model is an adapter.
    """
    if model.truncate_dim is not None:
        problem = f"the model truncates its vectors to {model.truncate_dim} dimensions, which a server does not do"
        raise InputError(problem, field="--for", remedy="use --for onnx, or ask the server for fewer dimensions")
    write_settings(model, folder)
    if (folder / CONFIGURATION).is_file():
        problem = "the model is an adapter, and the server loads it only together with its base model"
        raise InputError(problem, field="model", remedy="use --for onnx, which has both in one file")


def load_tei(folder: Path, max_length: int) -> SentenceTransformer:
    """The folder as text-embeddings-inference reads it.

    Raises:
        InputError: It would refuse the folder, or give other vectors.
    """
    mode = check_tei(folder)
    length = json_object(folder / "sentence_bert_config.json")["max_seq_length"]
    return runner(folder, _Served(folder, mode, normalised=True), length)


def load_vllm(folder: Path, max_length: int) -> SentenceTransformer:
    """The folder as vLLM reads it.

    Raises:
        InputError: It would refuse the folder, or give other vectors.
    """
    mode = check_vllm(folder)
    types = [module["type"] for module in read_json(folder / "modules.json", list)]
    # Texts that are longer than the encoder's length are refused by the server, and cut here as the original does.
    return runner(folder, _Served(folder, mode, normalised=f"{_OLD}Normalize" in types), max_length)


def check_tei(folder: Path) -> str:
    """Check what text-embeddings-inference requires of a folder, and return the pooling that it would choose.

    Raises:
        InputError: Something is missing, or it would pool in another way than the model; the file is named.
    """
    config = _common(folder)
    if not any(isinstance(config.get(name), int) for name in ("max_position_embeddings", "n_positions")):
        raise _unread(folder / "config.json", "max_position_embeddings", "a number")
    file = folder / "sentence_bert_config.json"
    if not file.is_file() or not isinstance(json_object(file).get("max_seq_length"), int):
        raise _unread(file, "max_seq_length", "a number")
    prompts = json_object(folder / "config_sentence_transformers.json").get("prompts") or {}
    if not all(isinstance(text, str) for text in prompts.values()):
        raise _unread(folder / "config_sentence_transformers.json", "prompts", "texts")
    pooling = json_object(folder / "1_Pooling" / "config.json")
    for mode in ("cls", "mean"):
        if not isinstance(pooling.get(FLAGS[mode]), bool):
            raise _unread(folder / "1_Pooling" / "config.json", FLAGS[mode], "true or false")
    return _mode(folder, next((mode for mode in _POOLED if pooling.get(FLAGS[mode]) is True), None))


def check_vllm(folder: Path) -> str:
    """Check what vLLM requires of a folder, and return the pooling that it would choose.

    Raises:
        InputError: Something is missing, or it would pool in another way than the model; the file is named.
    """
    _common(folder)
    listing = folder / "modules.json"
    found = [module["path"] for module in read_json(listing, list) if module["type"] == f"{_OLD}Pooling"]
    if not found:
        raise _unread(listing, "type", f"{_OLD}Pooling")
    flags = json_object(folder / found[0] / "config.json")
    first = next((name for name, value in flags.items() if value is True), None)
    return _mode(folder, next((mode for mode, flag in FLAGS.items() if flag == first), None))


def _common(folder: Path) -> dict[str, Any]:
    """What both require: an architecture, a fast tokenizer, safetensors, and no layers of sentence-transformers."""
    file = folder / "config.json"
    config = json_object(file)
    if not isinstance(config.get("architectures"), list) or not config["architectures"]:
        raise _unread(file, "architectures", "a list of names")
    if not isinstance(config.get("model_type"), str):
        raise _unread(file, "model_type", "a name")
    if "auto_map" in config:
        raise InputError("the model needs code of its own", file=file, field="auto_map", remedy="use another model")
    for name in ("tokenizer.json", "model.safetensors"):
        if not (folder / name).is_file() and not (folder / f"{name}.index.json").is_file():
            raise InputError("does not exist, and the server requires it", file=folder / name)
    types = [module["type"].rpartition(".")[2] for module in read_json(folder / "modules.json", list)]
    if types not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        problem = f"expected a transformer, a pooling and at most a normalisation, got {', '.join(types)}"
        raise InputError(problem, file=folder / "modules.json", remedy="use --for onnx, which has all layers")
    return config


def _mode(folder: Path, chosen: str | None) -> str:
    """The pooling that a server chooses, which must be the model's own."""
    pooling = json_object(folder / "1_Pooling" / "config.json")
    own = [mode for mode, flag in FLAGS.items() if pooling.get(flag) is True]
    if chosen is None or own != [chosen] or chosen not in _POOLED:
        problem = f"the server has no pooling {' + '.join(own)}: must be {', '.join(_POOLED)}"
        file = folder / "1_Pooling" / "config.json"
        raise InputError(problem, file=file, field="pooling_mode", remedy="use --for onnx")
    return chosen


def _unread(file: Path, field: str, expected: str) -> InputError:
    return InputError(f"expected {expected}, which the server requires", file=file, field=field)


class _Served:
    """The transformer in a folder, and the pooling of a server."""

    def __init__(self, folder: Path, mode: str, *, normalised: bool) -> None:
        import torch
        from transformers import AutoModel

        from nearfar.models.load_failures import without_progress_bar

        with without_progress_bar():
            model: Any = AutoModel.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
        self.model, self.mode, self.normalised = model.eval(), mode, normalised

    def __call__(self, arrays: Any) -> Float[np.ndarray, "n d"]:
        import torch
        from torch.nn.functional import normalize

        with torch.inference_mode():
            inputs = {name: torch.from_numpy(value) for name, value in arrays.items()}
            tokens, mask = self.model(**inputs).last_hidden_state, inputs["attention_mask"]
            if self.mode == "mean":
                shares = mask.unsqueeze(-1).to(tokens.dtype)
                vectors = (tokens * shares).sum(1) / shares.sum(1)
            else:
                places = torch.arange(mask.shape[1])
                found = (mask * places).argmax(1) if self.mode == "lasttoken" else mask.argmax(1)
                vectors = tokens[torch.arange(len(tokens)), found]
            return (normalize(vectors, dim=-1) if self.normalised else vectors).numpy()
