"""The files of an export beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["bytes_of", "check_exportable", "without_weights", "write_settings"]

#: Files of weights, of any target.
_WEIGHTS = (".safetensors", ".onnx", ".data", ".bin")


def check_exportable(model: SentenceTransformer, target: str) -> None:
    """Check that an encoder is a transformer with what follows it, in one file of weights.

    Raises:
        InputError: It is another kind of encoder.
    """
    from sentence_transformers.base.modules.transformer import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = list(model)
    names = ", ".join(type(module).__name__ for module in modules)
    if not modules or type(modules[0]) is not Transformer:
        problem = f"expected a transformer with a pooling, got {names}"
        remedy = "export one view or route, or another model"
        if names.startswith("StaticEmbedding"):
            problem, remedy = "the model is static already", "serve its folder as it is"
        raise InputError(problem, field="model", remedy=remedy)
    poolings = [module for module in modules if isinstance(module, Pooling)]
    if len(poolings) != 1 or modules[1] is not poolings[0]:
        raise InputError(f"expected one pooling after the transformer, got {names}", field="model")
    if not poolings[0].include_prompt and any(model.prompts.values()):
        problem = f"the pooling leaves out the tokens of prompts, which {target} cannot do"
        raise InputError(problem, field="include_prompt", remedy="train with include_prompt, or serve it with nearfar")


def write_settings(model: SentenceTransformer, folder: Path) -> None:
    """Write an encoder with the settings that all readers know."""
    from nearfar.kinds.encoder import Encoder

    Encoder(model).save(folder)


def without_weights(folder: Path) -> None:
    """Remove the weights of the transformer, which the export has in its own format."""
    for file in folder.glob("*.safetensors*"):
        file.unlink()


def bytes_of(folder: Path) -> int:
    """Size of a model's weights in bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.suffix in _WEIGHTS and file.is_file())
