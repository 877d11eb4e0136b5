"""Which of an audio model's frames are of the audio, and which of the silence that pads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentence_transformers.base.modules import Module
from sentence_transformers.util import fullname
from torch import nn

__all__ = ["OWN_MODULES", "RealFrames", "has_own_modules", "requires_nearfar"]


class RealFrames(Module):
    """Marks the states of Whisper's encoder that belong to the audio, so that pooling ignores the padding.

    Whisper pads each audio file to a fixed length. Its features have two frames for each state, and so does their mask,
    which sentence-transformers' `Pooling` therefore ignores. This module follows a `Transformer` with Whisper's encoder
    and replaces the `attention_mask` (batch, 2 n) with one for the states, (batch, n): a state is real if the first of
    its two frames is. A mask that already fits stays as it is.
    """

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace the mask."""
        mask, states = features["attention_mask"], features["token_embeddings"]
        if mask.shape[1] == 2 * states.shape[1]:
            features["attention_mask"] = mask[:, ::2]
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the (empty) settings."""
        self.save_config(output_path)


#: The modules of this package that a saved model may contain, by the names in its files.
OWN_MODULES: dict[str, type[Module]] = {fullname(RealFrames): RealFrames}


def has_own_modules(folder: Path) -> bool:
    """Whether the model in a folder contains a module of this package."""
    files = [folder / "modules.json", folder / "router_config.json", *folder.glob("*/router_config.json")]
    return any(name in file.read_text("utf-8") for file in files if file.is_file() for name in OWN_MODULES)


def requires_nearfar(model: nn.Module) -> bool:
    """Whether a model contains a module of this package, so that `SentenceTransformer(folder)` refuses to load it."""
    return any(isinstance(module, tuple(OWN_MODULES.values())) for module in model.modules())
