"""Language models in GGUF files as plain transformers folders, which sentence-transformers can load."""

from __future__ import annotations

from pathlib import Path

from nearfar.models.cache import user_cache
from nearfar.models.language import is_gguf, load_language_model, weights_hash
from nearfar.models.load_failures import without_progress_bar
from nearfar.writing import replace_folder

__all__ = ["plain_folder"]


def plain_folder(name: str | Path) -> str | Path:
    """The name of a model, or for GGUF weights a folder with the same weights in float32.

    The folder is made once, in the user's cache.

    Args:
        name: Any name of a model, such as `smollm2`, which is a GGUF file.

    Raises:
        InputError: The GGUF file cannot be read.
    """
    if not is_gguf(name):
        return name
    folder = user_cache() / "language-models" / weights_hash(name)
    if not folder.is_dir():
        model, tokenizer = load_language_model(name, "cpu")

        def write(part: Path) -> None:
            with without_progress_bar():
                model.float().save_pretrained(str(part))
            tokenizer.save_pretrained(str(part))

        folder.parent.mkdir(parents=True, exist_ok=True)
        replace_folder(folder, write)
    return folder
