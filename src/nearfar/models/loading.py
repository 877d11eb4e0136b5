"""Loading a text encoder by name, from safetensors weights alone and without remote code."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.models.aliases import ALIASES, alias_folder
from nearfar.models.kind_files import require_kind
from nearfar.writing import settled

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

logger = logging.getLogger(__name__)

# What a hub repository holds beside safetensors: weights that can carry code, and other runtimes' formats.
_NOT_FETCHED = ["*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack", "*.ot", "*.onnx*", "*.gguf"]
_NOT_FETCHED += ["*.tflite", "*.mlmodel", "*.mlpackage/*", "onnx/*", "openvino/*", "coreml/*", "original/*"]
_PICKLED_WEIGHTS = ("pytorch_model*.bin", "adapter_model*.bin", "model*.pt", "model*.pth", "model*.pkl", "*.ckpt")


def load(
    name: str | Path,
    *,
    device: str | None = None,
    max_length: int | None = None,
    layers: int | None = None,
    dims: int | None = None,
    part_of: str | None = None,
) -> SentenceTransformer:
    """Load a text encoder.

    An alias wins over a folder of the same name; write `./minilm` for the folder. A plain transformers folder or hub
    id gets mean pooling over its tokens. Only safetensors weights are read, and a model's own code never runs.

    Args:
        name: A folder, a hub id such as `sentence-transformers/all-MiniLM-L6-v2`, or a key of `ALIASES`.
        device: Where it runs, such as `cpu` or `cuda:0`; sentence-transformers chooses when None.
        max_length: Tokens after which a text is cut; the model's own setting when None.
        layers: Keep the first so many layers and drop the rest; good vectors need a model that was trained for it.
        dims: Keep the first so many numbers of a vector. Both survive saving; see `nearfar.models.elastic.truncated`.
        part_of: The kind of model that the encoder is wanted for, such as `pair scorer`; otherwise a note says that the
            rest of such a folder is not used.

    Returns:
        The encoder, in evaluation mode.

    Raises:
        InputError: No such model, no safetensors weights, damaged weights (NaN and infinity included), an unusable
            device, a length beyond what the model can read, or more layers or dimensions than it has.

    Example:
        >>> load("minilm").encode(["near", "far"]).shape  # doctest: +SKIP
        (2, 384)
        >>> load("runs/matryoshka_2d/model", layers=3, dims=64).encode(["near", "far"]).shape  # doctest: +SKIP
        (2, 64)
    """
    from sentence_transformers import SentenceTransformer

    _check_device(device)
    folder = find(name)
    check_files(folder)
    _check_kind(folder, part_of)
    # An adapter's base model may lie on the hub; everything else is in the folder by now.
    complete = not (folder / "adapter_config.json").is_file()
    try:
        with without_progress_bar():
            model = SentenceTransformer(
                str(folder),
                device=device,
                trust_remote_code=False,
                local_files_only=complete,
                model_kwargs={"use_safetensors": True},
            )
    except Exception as error:
        raise InputError(
            f"this folder does not load as a text encoder ({type(error).__name__}: {_first_line(error)})",
            file=folder,
            remedy="pass a sentence-transformers model or a transformers encoder with its tokenizer",
        ) from error
    check_weights(model, folder)
    if max_length is not None:
        check_max_length(model, max_length)
        model.max_seq_length = max_length
    if layers is not None or dims is not None:
        from nearfar.models.elastic import truncated

        model = truncated(model, layers, dims)
    return model.eval()


def _check_kind(folder: Path, part_of: str | None) -> None:
    """Refuse what is no encoder; say what of the folder is not used where one can be made of it."""
    kind = require_kind(folder, "encoder", "two towers", "pair scorer", "causal LM")
    if kind == "pair scorer" and part_of != kind:
        logger.warning("%s has a pair head, which is not used here: its encoder alone is loaded", folder)
    if kind == "causal LM":
        logger.warning("%s is a causal language model: the mean of its hidden states serves as a text's vector", folder)


def find(name: str | Path) -> Path:
    """The folder that holds the model called `name`, fetched from the hub (or its cache) where it must be.

    Raises:
        InputError: There is no such alias, folder or hub id.
    """
    text = str(name)
    if text in ALIASES:
        return alias_folder(text)
    path = settled(Path(text).expanduser())
    if text.strip() and path.is_dir():
        return path
    if path.is_file():
        raise InputError("this is a file, and a model is a folder", file=path, remedy=f"pass {path.parent}")
    if isinstance(name, Path) or text.startswith((".", "/", "~")) or text.count("/") > 1 or "\\" in text or not text:
        raise InputError(f"there is no model folder {text!r}", remedy="check the path")
    return _fetch(text)


def _fetch(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    known = "pass a folder, a hub id such as sentence-transformers/all-MiniLM-L6-v2, or one of: " + ", ".join(ALIASES)
    try:
        return Path(snapshot_download(hub_id, ignore_patterns=_NOT_FETCHED))
    except GatedRepoError as error:
        raise InputError(
            f"the hub's model {hub_id!r} is gated",
            remedy=f"ask for access on https://hf.co/{hub_id}, then `hf auth login`",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(f"{hub_id!r} is no folder, no alias and no model on the hub", remedy=known) from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"{hub_id!r} is no folder, no alias and not in the local hub cache, and the hub cannot be reached",
            remedy=known,
        ) from error


def _check_device(device: str | None) -> None:
    import torch

    if device is None:
        return
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"{device!r} cannot be used: {_first_line(error)}", field="device", remedy="try cpu"
        ) from error


def check_files(folder: Path) -> None:
    """A model's files must be there, and every file of weights must be whole safetensors."""
    from safetensors import SafetensorError, safe_open

    if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
        raise InputError(
            "this folder is no model: it has neither modules.json nor config.json",
            file=folder,
            remedy="pass the folder that SentenceTransformer.save_pretrained wrote, such as RUN/model",
        )
    seen = 0
    for part in _parts(folder):
        weights = sorted(part.glob("*.safetensors"))
        pickled = sorted(file for pattern in _PICKLED_WEIGHTS for file in part.glob(pattern))
        if pickled and not weights:
            raise InputError(
                "these weights are pickled, which can run code, so they are not read",
                file=pickled[0],
                remedy="save the model again with safe_serialization=True, or use a hub revision with safetensors",
            )
        for file in weights:
            try:
                with safe_open(file, framework="pt"):
                    seen += 1
            except (SafetensorError, OSError) as error:
                raise InputError(
                    f"the weights are damaged or cut short ({_first_line(error)})",
                    file=file,
                    remedy="copy or download the file again",
                ) from error
    if not seen:
        raise InputError(
            "this folder holds no safetensors weights", file=folder, remedy="copy model.safetensors into it"
        )


def _parts(folder: Path) -> list[Path]:
    """The folders a model's modules lie in: its root, and what modules.json names."""
    listing = folder / "modules.json"
    if not listing.is_file():
        return [folder]
    try:
        names = [module["path"] for module in json.loads(listing.read_text("utf-8"))]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("this is not a list of modules with a path each", file=listing) from error
    parts = [folder, *(folder / name for name in dict.fromkeys(names) if name and (folder / name).is_dir())]
    return [*parts, *(route for part in parts for route in _routes(part))]


def _routes(part: Path) -> list[Path]:
    """The folders of the encoders that a `Router` chooses from."""
    listing = part / "router_config.json"
    if not listing.is_file():
        return []
    try:
        return [part / name for name in json.loads(listing.read_text("utf-8"))["types"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("this is not a router's list of routes", file=listing) from error


def check_weights(model: nn.Module, folder: Path) -> None:
    """Raise an InputError where a weight is NaN or infinite."""
    import torch

    for name, weights in model.state_dict().items():
        if isinstance(weights, torch.Tensor) and weights.is_floating_point() and not torch.isfinite(weights).all():
            raise InputError(
                f"the weights {name!r} hold NaN or infinity",
                file=folder,
                remedy="the training that wrote them diverged: use an earlier checkpoint, or train with a lower rate",
            )


def check_max_length(model: SentenceTransformer, max_length: int) -> None:
    """Check that a model can read texts of so many tokens.

    Raises:
        InputError: it has no positions for them, or there are none.
    """
    # Both limits count: RoBERTa keeps two positions for itself, which only its tokenizer knows.
    limits = [
        getattr(model.config, "max_position_embeddings", None),
        getattr(model.tokenizer, "model_max_length", None),
    ]
    limit = min((value for value in limits if isinstance(value, int) and value > 0), default=None)
    if max_length < 1 or (limit is not None and max_length > limit):
        upper = "" if limit is None else f" and at most {limit}, the model's last position"
        raise InputError(f"{max_length} tokens cannot be read", field="max_length", remedy=f"give at least 1{upper}")


@contextmanager
def without_progress_bar() -> Iterator[None]:
    """Loading a file from disk needs no bar of its own in the middle of a command's output."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
