"""Rows with texts and labels in common."""

from __future__ import annotations

import random

from datasets import Dataset


def pairs(n: int, anchors: int, positives: int, seed: int = 0) -> Dataset:
    """Pairs over a few texts: some stand in both columns."""
    draw = random.Random(seed)
    return Dataset.from_dict(
        {
            "anchor": [f"a{draw.randrange(anchors)}" for _ in range(n)],
            "positive": [f"{draw.choice('ap')}{draw.randrange(positives)}" for _ in range(n)],
            "score": [0.5] * n,  # no text
        }
    )


def shared(n: int = 80, same: int = 65) -> Dataset:
    return Dataset.from_dict(
        {"anchor": [f"a{i}" for i in range(n)], "positive": ["same" if i < same else f"p{i}" for i in range(n)]}
    )


def labelled(*counts: int) -> Dataset:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return Dataset.from_dict({"text": [f"text {i}" for i in range(len(labels))], "label": labels})


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]
