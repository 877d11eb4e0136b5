"""Loads a causal language model by name: a folder, a Hub ID, a `.gguf` file, or an alias; without remote code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from nearfar.data.files import sha256
from nearfar.errors import InputError
from nearfar.models.adapter_base import base_of
from nearfar.models.aliases import GENERATORS, alias_folder
from nearfar.models.completeness import Loaded, check_complete, missing_of
from nearfar.models.finding import folder_of
from nearfar.models.load_failures import failures_named, without_progress_bar
from nearfar.models.model_files import check_files


class LanguageFiles(NamedTuple):
    """The files of a language model.

    Args:
        name: The name that the user gave.
        folder: Folder of the model.
        gguf: The weight file, if it is GGUF and not safetensors.
    """

    name: str
    folder: Path
    gguf: str | None


def find_language_model(name: str | Path) -> LanguageFiles:
    """The files of a language model, without loading it.

    Args:
        name: A folder or Hub ID with safetensors weights, a `.gguf` file, or a key of `GENERATORS` such as `smollm2`.

    Raises:
        InputError: The model does not exist, or has neither safetensors nor GGUF weights.
    """
    text = str(name)
    if text in GENERATORS:
        return LanguageFiles(text, alias_folder(text), GENERATORS[text].weights)
    path = Path(text).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return LanguageFiles(text, path.parent, path.name)
    folder = folder_of(text)
    if not any(folder.glob("*.safetensors")):
        raise InputError("contains no safetensors weights", file=folder, remedy="pass its .gguf file, or another model")
    return LanguageFiles(text, folder, None)


def weights_hash(name: str | Path) -> str:
    """A hash of the weight files, in hexadecimal.

    Raises:
        InputError: The model does not exist.
    """
    return "+".join(sha256(file)[:16] for file in _weight_files(name))


def same_weights(first: str | Path, second: str | Path) -> bool:
    """Whether two names are of the same weights; equal files are read only if they are in different places.

    Raises:
        InputError: A model does not exist.
    """
    one, other = _weight_files(first), _weight_files(second)
    if [file.resolve() for file in one] == [file.resolve() for file in other]:
        return True
    sizes = [[file.stat().st_size for file in files] for files in (one, other)]
    return sizes[0] == sizes[1] and weights_hash(first) == weights_hash(second)


def _weight_files(name: str | Path) -> list[Path]:
    _, folder, gguf = find_language_model(name)
    return [folder / gguf] if gguf else sorted(folder.glob("*.safetensors"))


def load_language_model(name: str | Path, device: str | None = None) -> tuple[Any, Any]:
    """A causal language model in evaluation mode, and its tokenizer.

    Args:
        name: See `find_language_model`; or the folder of an adapter (LoRA or similar), which is loaded into its base.
        device: Device of the model; by default a GPU if there is one.

    Raises:
        InputError: The model does not exist, or cannot be loaded.

    Example:
        >>> model, tokenizer = load_language_model("smollm2")  # doctest: +SKIP
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from nearfar.models.low_rank.files import is_low_rank_sparse, load_low_rank_sparse

    files = find_language_model(name)
    if files.gguf:
        check_gguf(files.gguf)
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    if files.gguf:
        options["gguf_file"] = files.gguf
    weights = unpacked() if files.gguf else {"use_safetensors": True}
    if not files.gguf:
        check_files(files.folder)
        if (base := base_of(files.folder)) is not None:
            return _adapted(files.folder, base, device)
    remedy = "pass a causal language model of transformers, with its tokenizer"
    with failures_named(files.folder / (files.gguf or ""), "a language model", remedy), without_progress_bar():
        tokenizer = AutoTokenizer.from_pretrained(str(files.folder), **options)
        model: Any
        if is_low_rank_sparse(files.folder):
            model = load_low_rank_sparse(files.folder)
        else:
            loader: Any = AutoModelForCausalLM
            asked = {**options, **weights, "output_loading_info": True}
            model, found = loader.from_pretrained(str(files.folder), **asked)
            loaded = Loaded(model, missing_of(model, found), sorted(found["unexpected_keys"]))
            _check_head(loaded, files)
            check_complete([loaded], None, files.folder / (files.gguf or ""))
    model.name_or_path = _lasting(files)  # what an adapter that is added to it will name as its base
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval(), tokenizer


def _lasting(files: LanguageFiles) -> str:
    """A name by which the model is found from any folder."""
    path = Path(files.name).expanduser()
    return files.name if files.name in GENERATORS or not path.exists() else str(path.resolve())


def _adapted(folder: Path, base: str, device: str | None) -> tuple[Any, Any]:
    """The base model with an adapter, and the adapter's tokenizer, or that of the base if it has none."""
    from transformers import AutoTokenizer

    model, tokenizer = load_language_model(base, device)
    with failures_named(folder, f"an adapter of {base}", "pass the adapter of a causal language model"):
        with without_progress_bar():
            model.load_adapter(str(folder))
        if (folder / "tokenizer_config.json").is_file():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    return model.eval(), tokenizer


def is_gguf(name: str | Path) -> bool:
    """Whether a language model is named whose weights are GGUF: an alias of `GENERATORS`, or a `.gguf` file."""
    return str(name) in GENERATORS or (Path(name).suffix == ".gguf" and Path(name).expanduser().is_file())


def check_gguf(file: str) -> None:
    """Raise an InputError if the package that reads GGUF files is not installed."""
    if importlib.util.find_spec("gguf") is None:
        raise InputError("GGUF files require the package gguf", file=file, remedy='pip install "nearfar[llm]"')


def unpacked() -> dict[str, Any]:
    """Arguments with which transformers converts GGUF to plain weights, which can be trained and saved.

    Quantized blocks would need kernels, which transformers would download from the Hub and run.
    """
    import transformers

    # Older releases always convert.
    found = getattr(transformers, "GgufConfig", None)
    return {} if found is None else {"quantization_config": found(dequantize=True)}


def _check_head(loaded: Loaded, files: LanguageFiles) -> None:
    """Raise an InputError for an encoder: transformers would load it with a random head and only a warning."""
    first = next(iter(loaded.missing), None)
    if first is not None and not first.startswith(f"{loaded.model.base_model_prefix}."):
        problem = f"expected a language model, but the weights do not contain {first!r}"
        place = files.folder / (files.gguf or "")
        raise InputError(problem, file=place, remedy="pass a causal language model, such as smollm2")


def padding_token(tokenizer: Any) -> int:
    """The id for padding; padding is masked, so any id works."""
    return next((token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None), 0)


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """The ids that end a text: the tokenizer's, and those of the model (for example the end of a chat turn)."""
    own = getattr(model.generation_config, "eos_token_id", None)
    ends = {tokenizer.eos_token_id, *(own if isinstance(own, (list, tuple)) else [own])}
    return sorted(ends - {None})


def check_length(model: Any, longest: int, name: str, field: str = "--model") -> None:
    """Raise an InputError if a prompt and its continuation have more tokens than the model has positions."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if isinstance(limit, int) and longest > limit:
        problem = f"prompt and answer need {longest} tokens, but {name} has {limit} positions"
        raise InputError(problem, field=field, remedy="shorten the texts, or use another model")
