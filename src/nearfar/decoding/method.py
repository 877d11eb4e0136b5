"""What a way of decoding is, for `nearfar generate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """One file of `nearfar.decoding.methods`.

    Args:
        name: As in `--decoding NAME`, where a hyphen stands for an underscore; the file's name.
        summary: One line on how it chooses.
        options: A dataclass of its settings, with defaults.
        arguments: From the model and its settings to what `model.generate` takes beside the prompts.
        streams: The tokens of a row are final when they are chosen.
        random: The seed decides.
    """

    name: str
    summary: str
    options: type[Any]
    arguments: Callable[[Any, Any], dict[str, Any]] = field(repr=False)
    streams: bool = True
    random: bool = False
