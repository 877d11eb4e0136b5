"""The description of a decoding method, for `nearfar generate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nearfar.decoding.layer_contrast import LayerContrast


@dataclass(frozen=True)
class Method:
    """A decoding method: one file of `nearfar.decoding.methods`.

    Args:
        name: The name of the file; in `--decoding NAME` with hyphens instead of underscores.
        summary: How it chooses tokens, in one line.
        options: Dataclass of its settings, with defaults.
        arguments: From the model and the settings to further arguments of `model.generate`.
        contrast: From the settings and the number of layers to a contrast, for methods that compare next-token
            distributions; they have no `arguments`.
        amateur: Whether an amateur is used; its settings contain `amateur_prompt`.
        any_model: Whether it works with every model that generates, not only with those that continue a text.
        streams: Whether tokens are final once chosen.
        random: Whether the result depends on the seed.
    """

    name: str
    summary: str
    options: type[Any]
    arguments: Callable[[Any, Any], dict[str, Any]] = field(default=lambda model, options: {}, repr=False)
    contrast: Callable[[Any, int], LayerContrast] | None = field(default=None, repr=False)
    amateur: bool = False
    any_model: bool = False
    streams: bool = True
    random: bool = False
