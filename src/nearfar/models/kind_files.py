"""The kind of model in a folder: as recorded by nearfar, otherwise by the files of the host libraries."""

from __future__ import annotations

import json
from pathlib import Path

from nearfar.errors import InputError
from nearfar.models.adapters import CONFIGURATION
from nearfar.models.model_files import json_object
from nearfar.writing import write_text

__all__ = ["FILE", "kind_of_folder", "require_kind", "write_kind"]

#: File name in a model's folder.
FILE = "nearfar.json"
#: Names of the kinds of model in messages.
WORDS = {
    "encoder": "a text encoder",
    "two towers": "a model with two towers",
    "pair scorer": "a pair scorer",
    "classifier": "a classifier",
    "reranker": "a reranker (cross-encoder)",
    "causal LM": "a causal language model",
    "seq2seq LM": "a sequence-to-sequence language model",
    "vision-language LM": "a vision-language model",
}


def write_kind(folder: Path, kind: str) -> None:
    """Record a model's kind in its folder."""
    write_text(json.dumps({"kind": kind}) + "\n", folder / FILE)


def kind_of_folder(folder: Path) -> str:
    """The kind of the model in a folder.

    Raises:
        InputError: Its files contradict each other, or are not valid JSON.
    """
    if (folder / FILE).is_file():
        kind = json_object(folder / FILE).get("kind")
        if not isinstance(kind, str) or kind not in WORDS:
            problem = f"unknown kind of model {kind!r}"
            raise InputError(problem, file=folder / FILE, field="kind", remedy=f"expected one of {', '.join(WORDS)}")
        return kind
    if (folder / "fusion.json").is_file():
        return "vision-language LM"
    if (folder / "pair_head").is_dir():
        return "pair scorer"
    if (folder / "labels").is_dir() and (folder / "modules.json").is_file():
        return "classifier"
    if (folder / "modules.json").is_file():
        own = folder / "config_sentence_transformers.json"
        if own.is_file() and json_object(own).get("model_type") == "CrossEncoder":
            return "reranker"
        return "two towers" if _has_media_route(folder) else "encoder"
    return _by_architecture(folder)


def require_kind(folder: Path, *kinds: str) -> str:
    """The kind of the model in a folder, which must be one of `kinds`.

    Raises:
        InputError: It is of another kind.
    """
    found = kind_of_folder(folder)
    if found not in kinds:
        expected = " or ".join(WORDS[kind] for kind in kinds)
        raise InputError(f"expected {expected}, got {WORDS[found]}", file=folder, remedy=_REMEDIES.get(found))
    return found


_REMEDIES = {
    "reranker": "pass a text encoder; for a reranker use a command that scores pairs, such as evaluate --task ranking",
    "causal LM": "pass a text encoder; for a language model use evaluate --task perplexity, or generate",
    "seq2seq LM": "pass a text encoder; for a language model use evaluate --task perplexity, or generate",
}


def _by_architecture(folder: Path) -> str:
    """The kind of a plain transformers folder, or of an adapter of peft."""
    if (folder / CONFIGURATION).is_file() and json_object(folder / CONFIGURATION).get("task_type") == "CAUSAL_LM":
        return "causal LM"
    config = json_object(folder / "config.json") if (folder / "config.json").is_file() else {}
    if config.get("model_type") == "low_rank_sparse":
        return "causal LM"
    names = config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError("expected a list of names", file=folder / "config.json", field="architectures")
    if any(name.endswith("ForSequenceClassification") for name in names):
        return "reranker"
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names):
        return "causal LM"
    if any(name.endswith(("ForConditionalGeneration", "ForSeq2SeqLM")) for name in names):
        return "seq2seq LM"
    return "encoder"


def _has_media_route(folder: Path) -> bool:
    """Whether the first module is a router with a route for texts and one for images or audio."""
    from nearfar.data.media import MEDIA

    for listing in (folder / "router_config.json", *folder.glob("*/router_config.json")):
        if listing.is_file():
            routes = json_object(listing).get("structure")
            return isinstance(routes, dict) and "text" in routes and any(medium in routes for medium in MEDIA)
    return False
