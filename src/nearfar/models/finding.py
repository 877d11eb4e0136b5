"""Finds the folder of a model by its name: an alias, a folder, or a Hub ID, which is downloaded."""

from __future__ import annotations

from pathlib import Path

from nearfar.errors import InputError
from nearfar.models.aliases import ALIASES, GENERATORS, SPEECH, alias_folder
from nearfar.writing import settled

__all__ = ["folder_of"]

# Files of a Hub repository that are not needed: weights that can contain code, and formats of other runtimes.
_NOT_FETCHED = ["*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack", "*.ot", "*.onnx*", "*.gguf"]
_NOT_FETCHED += ["*.tflite", "*.mlmodel", "*.mlpackage/*", "onnx/*", "openvino/*", "coreml/*", "original/*"]


def folder_of(name: str | Path) -> Path:
    """The folder of the model called `name`, downloaded from the Hub (or found in its cache) if necessary.

    Raises:
        InputError: There is no such alias, folder or Hub ID.
    """
    text = str(name)
    if text in ALIASES:
        return alias_folder(text)
    if text in SPEECH:
        problem = f"expected a text encoder, got the speech model {text!r}"
        raise InputError(problem, field="model", remedy=f"use it as the audio tower of a recipe: audio_model={text}")
    path = settled(Path(text).expanduser())
    if text.strip() and path.is_dir():
        return path
    if path.is_file():
        raise InputError("expected the folder of a model, got a file", file=path, remedy=f"pass {path.parent}")
    if isinstance(name, Path) or text.startswith((".", "/", "~")) or text.count("/") > 1 or "\\" in text or not text:
        raise InputError(f"the model folder {text!r} does not exist", field="model", remedy="check the path")
    return _fetch(text)


def _fetch(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    aliases = ", ".join((*ALIASES, *GENERATORS))
    known = f"pass a folder, a Hub ID such as sentence-transformers/all-MiniLM-L6-v2, or one of: {aliases}"
    try:
        return Path(snapshot_download(hub_id, ignore_patterns=_NOT_FETCHED))
    except GatedRepoError as error:
        raise InputError(
            f"the model {hub_id!r} on the Hub is gated",
            remedy=f"request access on https://hf.co/{hub_id}, then run `hf auth login`",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(
            f"{hub_id!r} is not a folder, an alias or a model on the Hub", field="model", remedy=known
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"{hub_id!r} is not a folder, an alias or in the local Hub cache, and the Hub cannot be reached",
            field="model",
            remedy=known,
        ) from error
