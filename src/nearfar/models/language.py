"""Loading a causal language model by name: a folder, a hub id, a `.gguf` file, or an alias; never remote code."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nearfar.errors import InputError
from nearfar.models.aliases import GENERATORS, alias_folder, sha256
from nearfar.models.completeness import incomplete, missing_of
from nearfar.models.model_files import check_files


class LanguageFiles(NamedTuple):
    """Where a language model lies.

    Args:
        name: As the user calls it.
        folder: Its folder.
        gguf: The file of weights in it, where they are GGUF and not safetensors.
    """

    name: str
    folder: Path
    gguf: str | None


def find_language_model(name: str | Path) -> LanguageFiles:
    """The files of a language model, without loading it.

    Args:
        name: A folder or hub id with safetensors weights, a `.gguf` file, or a key of `GENERATORS` such as `smollm2`.

    Raises:
        InputError: there is no such model, or it has neither safetensors nor GGUF weights.
    """
    from nearfar.models.loading import find

    text = str(name)
    if text in GENERATORS:
        return LanguageFiles(text, alias_folder(text), GENERATORS[text].weights)
    path = Path(text).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return LanguageFiles(text, path.parent, path.name)
    folder = find(text)
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            "this folder holds no safetensors weights", file=folder, remedy="name its .gguf file, or another model"
        )
    return LanguageFiles(text, folder, None)


def weights_hash(name: str | Path) -> str:
    """A hash of the files of weights, in hexadecimal; two models of one name differ in it.

    Raises:
        InputError: there is no such model.
    """
    _, folder, gguf = find_language_model(name)
    files = [folder / gguf] if gguf else sorted(folder.glob("*.safetensors"))
    return "+".join(sha256(file)[:16] for file in files)


def load_language_model(name: str | Path, device: str | None = None) -> tuple[Any, Any]:
    """A causal language model in evaluation mode, and its tokenizer.

    Args:
        name: As `find_language_model` takes it.
        device: Where it runs; the GPU where there is one.

    Raises:
        InputError: there is no such model, or it does not load.

    Example:
        >>> model, tokenizer = load_language_model("smollm2")  # doctest: +SKIP
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from nearfar.models.loading import failures_named, without_progress_bar
    from nearfar.models.low_rank.files import is_low_rank_sparse, load_low_rank_sparse

    files = find_language_model(name)
    if files.gguf and importlib.util.find_spec("gguf") is None:
        raise InputError("reading GGUF needs the package gguf", file=files.gguf, remedy='pip install "nearfar[llm]"')
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    if files.gguf:
        options["gguf_file"] = files.gguf
    weights = _unpacked() if files.gguf else {"use_safetensors": True}
    if not files.gguf:
        check_files(files.folder)
    remedy = "pass a causal language model of transformers with its tokenizer"
    with failures_named(files.folder / (files.gguf or ""), "a language model", remedy), without_progress_bar():
        tokenizer = AutoTokenizer.from_pretrained(str(files.folder), **options)
        model: Any
        if is_low_rank_sparse(files.folder):
            model = load_low_rank_sparse(files.folder)
        else:
            loader: Any = AutoModelForCausalLM
            asked = {**options, **weights, "output_loading_info": True}
            model, found = loader.from_pretrained(str(files.folder), **asked)
            _check_head(model, missing_of(model, found), files)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval(), tokenizer


def _unpacked() -> dict[str, Any]:
    """What makes transformers turn GGUF into plain weights, which can be trained and saved.

    Left in its blocks it would need kernels, which are fetched from the hub and run.
    """
    import transformers

    # Older releases know of no blocks, and always unpack.
    found = getattr(transformers, "GgufConfig", None)
    return {} if found is None else {"quantization_config": found(dequantize=True)}


def _check_head(model: Any, missing: Sequence[str], files: LanguageFiles) -> None:
    """An encoder's folder loads, too: with a head of random numbers, and no more than a note of the library."""
    if not missing:
        return
    place = files.folder / (files.gguf or "")
    head = next((name for name in missing if not name.startswith(f"{model.base_model_prefix}.")), None)
    if head == missing[0] or files.gguf:
        problem = f"the weights do not contain {missing[0]!r}, so this is no language model"
        raise InputError(problem, file=place, remedy="name a causal language model, such as smollm2")
    raise incomplete(missing[0], place)


def padding_token(tokenizer: Any) -> int:
    """The id to pad with; what is padded is masked, so any will do."""
    return next((token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None), 0)


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """The ids that end a text: the tokenizer's, and those that the model came with (a chat model ends its turns)."""
    own = getattr(model.generation_config, "eos_token_id", None)
    ends = {tokenizer.eos_token_id, *(own if isinstance(own, (list, tuple)) else [own])}
    return sorted(ends - {None})


def check_length(model: Any, longest: int, name: str, field: str = "--model") -> None:
    """Raise an InputError where a prompt and what follows it take more tokens than the model has positions for."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if isinstance(limit, int) and longest > limit:
        problem = f"prompt and answer take {longest} tokens, and {name} reads {limit}"
        raise InputError(problem, field=field, remedy="shorten the texts, or take another model")
