"""The files of a model's folder, checked before a library reads them: settings in JSON, weights in safetensors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from nearfar.errors import InputError
from nearfar.models.adapters import CONFIGURATION, check_adapter

__all__ = ["check_files", "check_settings", "json_object", "parts_of", "read_json"]

T = TypeVar("T", dict[str, Any], list[Any])

#: Bytes of a file of settings. The largest in use (names of 20,000 classes) need two million.
MOST_BYTES = 16 << 20
_COPY = "copy or download the model's folder again"
# Vocabularies may be larger than settings; the library that reads them comes first, see `check_settings`.
_VOCABULARIES = ("tokenizer.json", "vocab.json", "added_tokens.json")
_SETTINGS = (
    "config.json",
    "sentence_*_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "adapter_config.json",
    "router_config.json",
    "domain_experts.json",
    "nearfar.json",
)
_OBJECTS = (*_SETTINGS, *_VOCABULARIES, "*.index.json")
# What the libraries read where it is there, and what they would read where it is not. transformers and peft are told
# to take safetensors, but modules of sentence-transformers choose for themselves.
_PICKLED = {
    "pytorch_model*.bin": ("model.safetensors", "model.safetensors.index.json"),
    "adapter_model*.bin": ("adapter_model.safetensors",),
    "model*.pt": ("model.safetensors",),
    "model*.pth": ("model.safetensors",),
    "model*.pkl": ("model.safetensors",),
    "*.ckpt": ("model.safetensors",),
}


def read_json(file: Path, kind: type[T], most: int = MOST_BYTES) -> T:
    """The JSON object (`dict`) or list in a file.

    Raises:
        InputError: it is too large, cannot be read, is not JSON, is nested too deeply, or is of another kind.
    """
    try:
        size = file.stat().st_size
        if size > most:
            raise InputError(f"is too large: {size:,} bytes, expected at most {most:,}", file=file, remedy=_COPY)
        value = json.loads(file.read_text("utf-8"))
    except RecursionError as error:
        raise InputError("invalid JSON: nested too deeply", file=file, remedy=_COPY) from error
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError("is not valid JSON", file=file, remedy=_COPY) from error
    if not isinstance(value, kind):
        expected = "a JSON object" if kind is dict else "a JSON list"
        raise InputError(f"expected {expected}, got {_named(value)}", file=file, remedy=_COPY)
    return value


def json_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file; see `read_json`."""
    return read_json(file, dict)


def check_settings(folder: Path, *, vocabularies: bool = False) -> None:
    """Check that the files of settings of a model and of its parts hold JSON of the right kind.

    Args:
        folder: The model's folder.
        vocabularies: Also read the large files, which takes time: for when a library failed and did not say why.

    Raises:
        InputError: one does not; it is named.
    """
    for part in parts_of(folder):
        for pattern in _OBJECTS if vocabularies else _SETTINGS:
            for file in sorted(part.glob(pattern)):
                if file.is_file() and (vocabularies or file.name not in _VOCABULARIES):
                    large = file.name in _VOCABULARIES or file.name.endswith(".index.json")
                    _check_values(file, read_json(file, dict, MOST_BYTES << 6 if large else MOST_BYTES))


def check_files(folder: Path) -> None:
    """Check a model's files: settings that can be read, and weights that are whole safetensors, never pickled.

    Raises:
        InputError: one of them is missing or damaged; it is named.
    """
    from safetensors import SafetensorError, safe_open

    check_adapter(folder)
    if not any((folder / name).is_file() for name in ("modules.json", "config.json", CONFIGURATION)):
        raise InputError(
            "is not a model: contains neither modules.json nor config.json",
            file=folder,
            remedy="pass a folder written by SentenceTransformer.save_pretrained, such as RUN/model",
        )
    check_settings(folder)
    seen = 0
    for part in parts_of(folder):
        _check_pickled(part)
        for file in sorted(part.glob("*.safetensors")):
            try:
                with safe_open(file, framework="pt"):
                    seen += 1
            except (SafetensorError, OSError) as error:
                reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
                raise InputError(
                    f"the weights are corrupted or incomplete ({reason})", file=file, remedy="copy or download it again"
                ) from error
    if not seen:
        raise InputError("contains no safetensors weights", file=folder, remedy="copy model.safetensors into it")


def _check_pickled(part: Path) -> None:
    """Another file of safetensors does not help where the one that is read is missing."""
    for pattern, read_instead in _PICKLED.items():
        pickled = sorted(part.glob(pattern))
        if pickled and not any((part / name).is_file() for name in read_instead):
            raise InputError(
                "the weights are pickled, which can run code, so they are not loaded",
                file=pickled[0],
                remedy="save the model again with safe_serialization=True, or use a Hub revision with safetensors",
            )


def parts_of(folder: Path) -> list[Path]:
    """The folders that a model's modules are in: its root, what modules.json names, and the routes of a `Router`.

    Raises:
        InputError: a list of modules or routes is invalid, or names a place outside the folder.
    """
    found = dict.fromkeys([folder, *(folder / name for name in _modules(folder / "modules.json"))])
    waiting = list(found)
    while waiting:
        for route in _routes(waiting.pop()):
            if route not in found:
                found[route] = None
                waiting.append(route)
    return [part for part in found if part.is_dir()]


def _modules(listing: Path) -> Iterator[str]:
    if not listing.is_file():
        return
    for place, module in enumerate(read_json(listing, list, 1 << 20)):
        where = f"module {place}"
        if not isinstance(module, dict):
            raise InputError(f"{where}: expected a JSON object, got {_named(module)}", file=listing, remedy=_COPY)
        for field in ("name", "path", "type"):
            if not isinstance(value := module.get(field), str):
                got = _named(value) if field in module else "none"
                raise InputError(f"{where}: expected a text, got {got}", file=listing, field=field, remedy=_COPY)
        yield _inside(module["path"], listing, f"{where}: ")


def _routes(part: Path) -> Iterator[Path]:
    """The folders of the encoders that a `Router` chooses from."""
    listing = part / "router_config.json"
    if not listing.is_file():
        # As older releases call it; other modules have a config.json, too.
        listing = part / "config.json"
        if not listing.is_file() or not {"types", "structure"} <= json_object(listing).keys():
            return
    types = json_object(listing).get("types")
    if not isinstance(types, dict) or not all(isinstance(each, str) for each in types.values()):
        raise InputError("expected an object with the class of each route", file=listing, field="types", remedy=_COPY)
    for name in types:
        yield part / _inside(name, listing, "")


def _inside(path: str, listing: Path, where: str) -> str:
    windows = PureWindowsPath(path)
    if windows.anchor or ".." in windows.parts or PurePosixPath(path).is_absolute() or "\0" in path:
        problem = f"{where}invalid path {path!r}: must be relative, and inside the model's folder"
        raise InputError(problem, file=listing, field="path", remedy="use a folder beside modules.json")
    return path


def _check_values(file: Path, settings: dict[str, Any]) -> None:
    """The settings that libraries take as they are, so that a wrong type would only be noticed by the first text."""
    for field in ("max_seq_length", "model_max_length"):
        value = settings.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1):
            raise InputError(f"invalid length {value!r}: must be a positive number", file=file, field=field)
    prompts = settings.get("prompts")
    if prompts is not None and not (
        isinstance(prompts, dict) and all(each is None or isinstance(each, str) for each in prompts.values())
    ):
        raise InputError("expected an object of texts", file=file, field="prompts", remedy=_COPY)


def _named(value: object) -> str:
    """A value in a message: what kind of JSON it is, and the value where it is short."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    if isinstance(value, (dict, list)) or len(repr(value)) > 60:
        return kinds.get(type(value), "a number")
    return repr(value) if value is not None else "null"
