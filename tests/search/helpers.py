"""A small corpus, and a reader of it that counts."""

from __future__ import annotations

from pathlib import Path

WORDS = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "loan", "card"]
CORPUS = [f"the {a} sits under a {b}" for a in WORDS for b in WORDS if a != b]


class Reader:
    """Reads a corpus and counts how often it was asked to."""

    def __init__(self, file: Path) -> None:
        self.file, self.calls = file, 0

    def __call__(self) -> tuple[None, list[str]]:
        self.calls += 1
        return None, self.file.read_text().splitlines()
