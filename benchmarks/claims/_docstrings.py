"""Docstrings of the Python standard library as a search: from the summary of an entry to the entry."""

from __future__ import annotations

from functools import cache

import nearfar
from nearfar.data import Retrieval
from nearfar.demo.docstrings import harvest, part_of
from nearfar.evaluation import evaluate

MAX_LENGTH = 32
ENTRIES = harvest()


@cache
def questions(seed: int, part: str) -> Retrieval:
    """Summaries of a part's modules as queries, and the entries of these modules as documents."""
    asked = [entry for entry in ENTRIES if part_of(entry.module, seed) == part]
    relevant: dict[str, dict[str, int]] = {}
    for entry in asked:
        relevant.setdefault(entry.summary, {})[entry.name] = 1
    return Retrieval({entry.name: entry.text for entry in asked}, {text: text for text in relevant}, relevant)


def test_questions(seed: int) -> Retrieval:
    """Those of the test modules."""
    return questions(seed, "test")


def base_model(seed: int, layers: int | None = None) -> float:
    """nDCG@10 of MiniLM before training."""
    return evaluate(nearfar.load("minilm", layers=layers, max_length=MAX_LENGTH), test_questions(seed)).metrics[
        "ndcg@10"
    ]
