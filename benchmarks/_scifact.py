"""Claims of SciFact with the titles of the abstracts that they cite, for benchmarks about rows."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

from claims._data import located
from nearfar.data.retrieval import Retrieval

Rows = list[dict[str, Any]]


def lines_of(file: str) -> Iterator[dict[str, Any]]:
    with gzip.open(located("scifact", file), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def relevant(part: str) -> list[tuple[str, str]]:
    with gzip.open(located("scifact", f"qrels-{part}.tsv.gz"), "rt", encoding="utf-8") as lines:
        next(lines)
        return [(query, document) for query, document, _ in (line.rstrip("\n").split("\t") for line in lines)]


def claims() -> tuple[Rows, Retrieval, dict[str, str]]:
    """Training pairs, the test as a search over titles, and by title the first sentence of its abstract."""
    documents = {row["_id"]: row for row in lines_of("corpus.jsonl.gz")}
    titles = {id_: row["title"] for id_, row in documents.items()}
    asked = {row["_id"]: row["text"] for part in ("train", "test") for row in lines_of(f"queries-{part}.jsonl.gz")}
    pairs = dict.fromkeys((asked[query], titles[document]) for query, document in relevant("train"))
    rows = [{"anchor": claim, "positive": title} for claim, title in pairs]
    test: dict[str, dict[str, int]] = {}
    for query, document in relevant("test"):
        test.setdefault(query, {})[document] = 1
    first = {row["title"]: re.split(r"(?<=[.!?]) ", row["text"])[0] for row in documents.values()}
    return rows, Retrieval(titles, {query: asked[query] for query in test}, test), first
