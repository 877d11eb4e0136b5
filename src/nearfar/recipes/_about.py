"""`about.yaml`: what the recipes say of themselves."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

__all__ = ["entry"]


def entry(name: str) -> dict[str, Any]:
    """What the file says of a recipe; of one that it does not know, nothing."""
    return _entries().get(name, {})


@cache
def _entries() -> dict[str, dict[str, Any]]:
    # libyaml, where PyYAML has it, takes a tenth of the time: `nearfar recipes` waits for this.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(resources.files("nearfar.recipes").joinpath("about.yaml").read_text("utf-8"), Loader=loader)
