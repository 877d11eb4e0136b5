"""The general set that comes with the package: short pairs of many topics, to measure what a training forgets.

See `general_set/README.md` for what is in it, and for what it can and cannot show.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["general_pairs"]


def general_pairs() -> Dataset:
    """The pairs of the general set: rows with `anchor` and `positive`, four of each topic, in English."""
    from datasets import Dataset

    text = resources.files("nearfar.data").joinpath("general_set").joinpath("pairs.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    return Dataset.from_dict({name: [row[name] for row in rows] for name in ("anchor", "positive")})
